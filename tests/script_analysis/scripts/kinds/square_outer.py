import numpy as np
x = np.load("emb.npy")  # FINDING
d = np.abs(x[:, None] - x[None, :])  # FINDING
