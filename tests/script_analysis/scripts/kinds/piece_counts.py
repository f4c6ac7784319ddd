import collections
docs = []
for line in open("in.txt"):
    c = collections.Counter()
    for w in line.split():
        c[w] += 1
    docs.append(c)  # FINDING
