import numpy as np, glob
parts = []
for p in glob.glob("bins/*.bin"):
    with open(p, "rb") as f:
        parts.append(np.fromfile(f, dtype=np.uint16))  # FINDING
arr = np.concatenate(parts)  # FINDING
open("all.bin", "wb").write(arr.tobytes())  # FINDING
