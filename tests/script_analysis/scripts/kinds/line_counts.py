counts = {}
for line in open("log.txt"):
    counts[line] = counts.get(line, 0) + 1  # FINDING
