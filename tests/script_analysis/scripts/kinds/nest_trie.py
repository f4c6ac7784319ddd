root = {}
for line in open("in.txt"):
    node = root
    for w in line.split():
        node = node.setdefault(w, {})  # FINDING
