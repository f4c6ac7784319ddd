rows = []
keep = lambda x: rows.append(x)  # FINDING
for line in open("in.txt"):
    keep(line)
