from sklearn.metrics import pairwise_distances
import numpy as np
vecs = np.load("embeddings.npy")  # FINDING
d = pairwise_distances(vecs)  # FINDING
