from collections import defaultdict
by = defaultdict(list)
for line in open("pairs.tsv"):
    a, b, c = line.rstrip("\n").split("\t")
    by[a].append((b, c))  # FINDING
