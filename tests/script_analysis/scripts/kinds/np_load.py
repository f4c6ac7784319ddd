import numpy as np
tokens = np.load("tokens.npy")  # FINDING
wide = tokens.astype(np.int64)  # FINDING
