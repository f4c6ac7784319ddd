index = {}
for line in open("in.txt"):
    k, v = line.split("\t")
    index[k] = v  # FINDING
