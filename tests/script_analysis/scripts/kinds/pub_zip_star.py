rows = []
for line in open("in.tsv"):
    a, b = line.rstrip("\n").split("\t")
    rows.append((a, b))  # FINDING
left, right = zip(*rows)
