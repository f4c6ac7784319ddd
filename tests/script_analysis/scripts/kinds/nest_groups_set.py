from collections import defaultdict
groups = defaultdict(set)
for line in open("in.txt"):
    k, v = line.split("\t")
    groups[k].add(v)  # FINDING
