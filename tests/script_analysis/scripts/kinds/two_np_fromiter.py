import numpy as np
x = np.fromiter((hash(l) for l in open("in.txt")), dtype=np.int64)  # FINDING
