docs = list(open("in.txt"))  # FINDING
sim = {}
for i, a in enumerate(docs):
    for j, b in enumerate(docs):
        sim[i, j] = len(set(a.split()) & set(b.split()))  # FINDING
