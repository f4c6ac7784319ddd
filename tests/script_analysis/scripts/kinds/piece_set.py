rows = []
for line in open("in.txt"):
    row = set()
    for part in line.split("|"):
        row.add(part.strip())
    rows.append(row)  # FINDING
