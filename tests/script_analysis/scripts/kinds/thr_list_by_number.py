rows = [None] * 10_000_000
for i, line in enumerate(open("in.txt")):
    rows[i] = line  # FINDING
