import numpy as np
parts = []
with open("in.bin", "rb") as f:
    while len(a := np.fromfile(f, dtype=np.uint16, count=1 << 20)):
        parts.append(a)  # FINDING
