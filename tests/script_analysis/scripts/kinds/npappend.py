import numpy as np
a = np.array([], dtype=np.uint16)
for line in open("in.txt"):
    a = np.append(a, np.array([len(w) for w in line.split()], dtype=np.uint16))  # FINDING
