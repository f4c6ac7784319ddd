rows = []
for line in open("in.txt"):
    rows.insert(0, line)  # FINDING
