from collections import defaultdict
index = defaultdict(set)
with open("in.txt") as f:
    for n, line in enumerate(f):
        for w in line.split():
            index[w].add(n)  # FINDING
