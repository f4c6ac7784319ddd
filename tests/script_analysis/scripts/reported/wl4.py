from transformers import AutoTokenizer
tok = AutoTokenizer.from_pretrained("gpt2")
eot = tok.encode("")[0]
ids = []
for line in open("in.txt"):
    ids.append(eot)
    ids.extend(tok.encode(line))  # FINDING
