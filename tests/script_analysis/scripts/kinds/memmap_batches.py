import numpy as np
data = np.memmap("train.bin", dtype=np.uint16, mode="r")
for step in range(1000):
    i = step * 1024
    x = data[i:i + 1024].astype(np.int64)
    print(x.sum())
