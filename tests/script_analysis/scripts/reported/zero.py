ids = []
for line in open("in.txt"):
    ids.append(line)  # FINDING
rest = ids[1000:]  # FINDING
