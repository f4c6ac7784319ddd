rows = []
with open("a.txt") as f:
    for l in f: rows.append(l)  # FINDING
with open("b.txt") as f:
    rows += f.readlines()  # FINDING
with open("c.txt") as f:
    rows.extend(f)  # FINDING
