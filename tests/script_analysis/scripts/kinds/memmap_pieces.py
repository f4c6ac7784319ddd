import numpy as np
mm = np.memmap("ids.bin", dtype=np.uint16, mode="r")
counts = np.zeros(50257, dtype=np.int64)
for i in range(0, len(mm), 1 << 20):
    counts += np.bincount(mm[i:i + (1 << 20)], minlength=50257)
