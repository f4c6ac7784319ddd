docs = open("in.txt").readlines()  # FINDING
kept = []
for i, line in enumerate(docs):
    if i < len(docs):
        kept.append(line.lower())  # FINDING
