groups = {}
for line in open("in.txt"):
    groups.setdefault(line[0], []).append(line)  # FINDING
