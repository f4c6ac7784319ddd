docs = open("in.txt").readlines()  # FINDING
total = []
for i in range(0, len(docs), 100):
    for d in docs[i:i + 100]:
        total.append(len(d))
