docs = open("in.txt").readlines()  # FINDING
near = {}
for i in range(len(docs)):
    for j in range(len(docs)):
        if docs[i] == docs[j]:
            near.setdefault(i, []).append(j)  # FINDING
