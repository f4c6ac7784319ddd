"""Arrays are kept in a list, and joined into a second copy at the end."""

import sys

import numpy as np

parts = []
with open(sys.argv[1], "rb") as file:
    for line in file:
        parts.append(np.frombuffer(line, np.uint8).astype(np.int64))  # cause
whole = np.concatenate(parts)  # cause
np.save("out.npy", whole)
print(len(whole))
