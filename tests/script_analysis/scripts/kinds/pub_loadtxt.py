import numpy as np
x = np.loadtxt("vectors.txt")  # FINDING
