import numpy as np
docs = open("in.txt").readlines()  # FINDING
d = np.zeros((len(docs), len(docs)))  # FINDING
