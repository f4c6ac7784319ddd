import pickle

import numpy as np

vocabulary = set()
with open("input.txt", encoding="utf-8") as f:
    for line in f:
        vocabulary.update(line)
stoi = {c: i for i, c in enumerate(sorted(vocabulary))}
with open("input.txt", encoding="utf-8") as f, open("train.bin", "wb") as out:
    for line in f:
        np.array([stoi[c] for c in line], dtype=np.uint16).tofile(out)
with open("meta.pkl", "wb") as f:
    pickle.dump(stoi, f)
