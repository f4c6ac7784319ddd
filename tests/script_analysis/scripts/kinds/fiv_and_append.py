rows = []
for line in open("in.txt"):
    line.strip() and rows.append(line)  # FINDING
