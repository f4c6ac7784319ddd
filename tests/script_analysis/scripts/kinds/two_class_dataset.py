import torch
class Lines(torch.utils.data.Dataset):
    def __init__(self, path):
        with open(path) as f:
            self.lines = f.readlines()  # FINDING
    def __getitem__(self, i):
        return self.lines[i]
ds = Lines("in.txt")
