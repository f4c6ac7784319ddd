import numpy as np
emb = {}
with open("glove.840B.300d.txt") as f:
    for line in f:
        word, *vec = line.split()
        emb[word] = np.asarray(vec, dtype="float32")  # FINDING
