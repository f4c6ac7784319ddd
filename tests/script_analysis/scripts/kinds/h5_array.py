import h5py
import numpy as np
with h5py.File("x.h5", "r") as f:
    tokens = np.array(f["tokens"])  # FINDING
