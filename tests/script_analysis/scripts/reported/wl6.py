lines = []
for line in open("in.txt"):
    lines.append("--")
    lines.append(line)  # FINDING
