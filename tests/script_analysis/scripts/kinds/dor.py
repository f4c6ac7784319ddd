d = {}
for line in open("in.txt"):
    d |= {line: 1}  # FINDING
