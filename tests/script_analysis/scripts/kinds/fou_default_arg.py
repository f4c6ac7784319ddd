def add(x, rows=[]):
    rows.append(x)  # FINDING
    return rows
for line in open("in.txt"):
    add(line)
