import itertools
docs = [l for l in open("in.txt")]  # FINDING
pairs = list(itertools.combinations(docs, 2))  # FINDING
