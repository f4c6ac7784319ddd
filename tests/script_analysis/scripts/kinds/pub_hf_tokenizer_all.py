from transformers import AutoTokenizer
tok = AutoTokenizer.from_pretrained("gpt2")
text = open("in.txt").read()  # FINDING
out = tok(text, return_tensors="pt")  # FINDING
