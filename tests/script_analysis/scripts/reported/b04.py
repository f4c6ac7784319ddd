import torch
parts = []
for line in open("in.txt"):
    parts.append(torch.tensor([int(x) for x in line.split()]))  # FINDING
allt = torch.cat(parts)  # FINDING
torch.save(allt, "o.pt")
