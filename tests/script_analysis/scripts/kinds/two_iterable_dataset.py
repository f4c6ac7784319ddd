import torch
class Lines(torch.utils.data.IterableDataset):
    def __init__(self, path):
        self.path = path
    def __iter__(self):
        with open(self.path) as f:
            yield from f
for x in Lines("in.txt"):
    print(x)
