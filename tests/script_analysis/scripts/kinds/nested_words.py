docs = []
for line in open("in.txt"):
    words = []
    for w in line.split():
        words.append(w.lower())
    docs.append(words)  # FINDING
