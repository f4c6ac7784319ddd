rows = []
for line in open("in.txt"):
    rows = [*rows, line]  # FINDING
