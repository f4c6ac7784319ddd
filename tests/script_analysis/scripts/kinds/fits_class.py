class Writer:
    def __init__(self, p):
        self.f = open(p, "w")
        self.n = 0
    def add(self, x):
        self.f.write(x)
        self.n += 1
w = Writer("o.txt")
with open("in.txt") as f:
    for line in f:
        w.add(line)
