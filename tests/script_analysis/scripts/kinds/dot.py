import numpy as np
vecs = np.load("vecs.npy")  # FINDING
sim = vecs @ vecs.T  # FINDING
