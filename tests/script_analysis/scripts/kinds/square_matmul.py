import torch
x = torch.load("emb.pt")  # FINDING
s = torch.matmul(x, x.T)  # FINDING
