docs = []
for line in open("in.txt"):
    docs[len(docs):] = [line]  # FINDING
