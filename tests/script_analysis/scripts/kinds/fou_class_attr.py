class C:
    rows = []
for line in open("in.txt"):
    C.rows.append(line)  # FINDING
