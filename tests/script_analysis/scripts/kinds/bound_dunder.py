rows = []
for line in open("in.txt"):
    rows.__iadd__([line])  # FINDING
