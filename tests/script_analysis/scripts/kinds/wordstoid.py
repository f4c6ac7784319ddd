vocab = {}
ids = []
for line in open("in.txt"):
    for w in line.split():
        ids.append(vocab.setdefault(w, len(vocab)))  # FINDING
