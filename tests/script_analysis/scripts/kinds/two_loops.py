docs = []
for line in open("a.txt"):
    docs.append(line)  # FINDING
for line in open("b.txt"):
    docs.append(line)  # FINDING
