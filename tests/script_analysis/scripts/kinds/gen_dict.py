def pairs():
    for line in open("in.txt"):
        k, v = line.split("\t")
        yield k, v
index = dict(pairs())  # FINDING
