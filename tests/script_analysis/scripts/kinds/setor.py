s = set()
for line in open("in.txt"):
    s |= {line}  # FINDING
