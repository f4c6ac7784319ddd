docs = [l for l in open("in.txt")]  # FINDING
best = []
for a in docs:
    best.append(max(len(a) - len(b) for b in docs))
