def add(x, acc=[]):
    acc.append(x)  # FINDING
for line in open("in.txt"):
    add(line)
