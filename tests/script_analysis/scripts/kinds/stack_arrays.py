import numpy as np
rows = []
for line in open("vecs.txt"):
    rows.append(np.fromstring(line, sep=" "))  # FINDING
m = np.vstack(rows)  # FINDING
