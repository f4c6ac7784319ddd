from tokenizers import Tokenizer
tok = Tokenizer.from_file("tokenizer.json")
with open("in.txt") as f:
    enc = tok.encode_batch(f.readlines())  # FINDING
