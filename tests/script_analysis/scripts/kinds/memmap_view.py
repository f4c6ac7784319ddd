import numpy as np
mm = np.memmap("ids.bin", dtype=np.uint16, mode="r")
train, val = mm[:-1000], mm[-1000:]
out = np.memmap("copy.bin", dtype=np.uint16, mode="w+", shape=mm.shape)
out[:] = mm[:]
