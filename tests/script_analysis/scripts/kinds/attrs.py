class R:
    pass
r = R()
r.rows = []
for line in open("in.txt"):
    r.rows.append(line)  # FINDING
