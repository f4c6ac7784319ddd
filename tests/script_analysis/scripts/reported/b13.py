import numpy as np
arr = np.fromfile("tokens.bin", dtype=np.uint16)  # FINDING
b = arr.astype(np.int64)  # FINDING
