import torch
x = torch.load("emb.pt")  # FINDING
s = torch.mm(x, x.t())  # FINDING
