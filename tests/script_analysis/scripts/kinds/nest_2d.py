counts = {}
for line in open("in.txt"):
    k, v = line.split("\t")
    counts.setdefault(k, {})  # FINDING
    counts[k][v] = counts[k].get(v, 0) + 1  # FINDING
