rows = [None] * 1000000
for i, line in enumerate(open("in.txt")):
    rows[i] = line  # FINDING
