import pickle

import numpy as np

with open("input.txt") as f:
    data = f.read()  # FINDING whole-read
chars = sorted(list(set(data)))
stoi = {ch: i for i, ch in enumerate(chars)}
itos = {i: ch for i, ch in enumerate(chars)}


def encode(s):
    return [stoi[c] for c in s]  # FINDING list-of-input


ids = np.array(encode(data), dtype=np.uint16)  # FINDING array-of-list
ids.tofile("train.bin")
with open("meta.pkl", "wb") as f:
    pickle.dump({"vocab_size": len(chars), "itos": itos, "stoi": stoi}, f)
