import numpy as np
parts = []
with open("in.bin", "rb") as file:
    for line in file:
        parts.append(np.frombuffer(line, np.uint8).astype(np.int64))  # FINDING
whole = np.concatenate(parts)  # FINDING
