import numpy as np
x = np.load("emb.npy")  # FINDING
s = np.dot(x, x.T)  # FINDING
