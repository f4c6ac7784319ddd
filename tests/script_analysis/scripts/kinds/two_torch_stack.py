import torch
vecs = []
for line in open("vec.txt"):
    vecs.append(torch.tensor([float(x) for x in line.split()]))  # FINDING
m = torch.stack(vecs)  # FINDING
