rows = []
for line in open("in.txt"):
    rows.append(line) if line.strip() else None  # FINDING
