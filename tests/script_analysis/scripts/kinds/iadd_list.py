docs = []
for line in open("in.txt"):
    docs += [line]  # FINDING
