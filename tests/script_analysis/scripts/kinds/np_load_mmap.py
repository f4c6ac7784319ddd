import numpy as np
tokens = np.load("tokens.npy", mmap_mode="r")
for i in range(0, len(tokens), 1024):
    print(tokens[i : i + 1024].sum())
