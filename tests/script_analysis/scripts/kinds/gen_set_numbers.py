def ids():
    for line in open("in.txt"):
        yield int(line.split("\t")[0])
seen = set(ids())  # FINDING
