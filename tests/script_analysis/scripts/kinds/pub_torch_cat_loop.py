import torch
import tiktoken
enc = tiktoken.get_encoding("gpt2")
out = torch.empty(0, dtype=torch.long)
for line in open("in.txt"):
    out = torch.cat([out, torch.tensor(enc.encode(line))])  # FINDING
