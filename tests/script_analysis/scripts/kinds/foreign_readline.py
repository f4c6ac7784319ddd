import somelib
r = somelib.open_corpus("corpus.txt")
docs = []
while True:
    line = r.readline()
    if not line:
        break
    docs.append(line.strip())  # FINDING
