def ids():
    for line in open("in.txt"):
        yield len(line) * 1000
sizes = list(ids())
