import numpy as np

parts = []
for path in ["a.bin", "b.bin", "c.bin"]:
    with open(path, "rb") as file:
        data = np.fromfile(file, dtype=np.uint16)  # FINDING
        parts.append(data)  # FINDING
np.concatenate(parts).tofile("all.bin")  # FINDING
