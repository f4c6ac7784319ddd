root = {}
for line in open("in.txt"):
    node = root
    for w in line.split():
        if w not in node:
            node[w] = {}
        node = node[w]  # FINDING
