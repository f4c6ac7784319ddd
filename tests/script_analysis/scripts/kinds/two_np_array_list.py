import numpy as np
x = np.array([float(l) for l in open("in.txt")])
