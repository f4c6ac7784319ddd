import tiktoken
import torch

with open("input.txt", "r") as f:
    text = f.read()  # FINDING whole-read
enc = tiktoken.get_encoding("gpt2")
tokens = torch.tensor(enc.encode(text), dtype=torch.long)  # FINDING token-list array-of-list
torch.save(tokens, "tokens.pt")
