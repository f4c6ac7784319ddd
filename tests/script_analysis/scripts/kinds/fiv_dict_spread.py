d = {}
for line in open("in.txt"):
    d = {**d, line: 1}  # FINDING
