"""The same written as it comes."""

import sys

import numpy as np

total = 0
with open(sys.argv[1], "rb") as file, open("out.bin", "wb") as out:
    for line in file:
        part = np.frombuffer(line, np.uint8).astype(np.int64)
        part.tofile(out)
        total += len(part)
print(total)
