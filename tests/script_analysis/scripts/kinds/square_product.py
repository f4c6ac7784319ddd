import itertools
docs = open("in.txt").readlines()  # FINDING
pairs = [(a, b) for a, b in itertools.product(docs, docs)]  # FINDING
