import numpy as np
x = np.genfromtxt("in.csv", delimiter=",", dtype=str)  # FINDING
