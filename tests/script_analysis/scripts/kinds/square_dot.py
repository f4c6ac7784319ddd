import numpy as np
x = np.loadtxt("emb.txt")  # FINDING
s = x.dot(x.T)  # FINDING
