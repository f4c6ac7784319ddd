import somelib
r = somelib.open_corpus("corpus.txt")
out = open("o.txt", "w")
while True:
    line = r.readline()
    if not line:
        break
    out.write(line.lower())
