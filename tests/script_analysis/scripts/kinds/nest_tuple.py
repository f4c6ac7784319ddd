docs = []
for i, line in enumerate(open("in.txt")):
    parts = (i, [])
    for w in line.split():
        parts[1].append(w)
    docs.append(parts)  # FINDING
