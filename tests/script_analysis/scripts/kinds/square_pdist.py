from scipy.spatial.distance import pdist, squareform
import numpy as np
x = np.load("emb.npy")  # FINDING
d = squareform(pdist(x))  # FINDING
