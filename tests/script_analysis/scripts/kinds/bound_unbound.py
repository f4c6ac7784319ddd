rows = []
for line in open("in.txt"):
    list.append(rows, line)  # FINDING
