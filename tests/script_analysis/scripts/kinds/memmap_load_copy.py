import numpy as np
mm = np.load("ids.npy", mmap_mode="r")
ids = mm.copy()  # FINDING
