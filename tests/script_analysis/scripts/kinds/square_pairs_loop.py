docs = [l for l in open("in.txt")]  # FINDING
pairs = []
for i in range(len(docs)):
    for j in range(i + 1, len(docs)):
        pairs.append((i, j, len(docs[i])))  # FINDING
