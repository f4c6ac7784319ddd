def load(path):
    out = []
    for line in open(path):
        out.append(line.strip())  # FINDING
    return out
for x in load("in.txt"):
    print(x)
