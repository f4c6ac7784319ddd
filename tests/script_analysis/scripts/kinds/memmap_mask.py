import numpy as np
mm = np.load("ids.npy", mmap_mode="r")
large = mm[mm > 1000]  # FINDING
