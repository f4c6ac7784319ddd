from collections import defaultdict
by = defaultdict(list)
for line in open("in.txt"):
    k, v = line.split("\t")
    by[k].append(v)  # FINDING
