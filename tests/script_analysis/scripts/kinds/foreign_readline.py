import somelib
r = somelib.open_corpus("corpus.txt")  # UNSEEN
docs = []
while True:
    line = r.readline()
    if not line:
        break
    docs.append(line.strip())  # FINDING
