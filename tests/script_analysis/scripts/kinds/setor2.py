s = set()
for line in open("in.txt"):
    s = s | {line}  # FINDING
