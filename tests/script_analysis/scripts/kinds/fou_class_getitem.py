class Store:
    def __init__(self):
        self.d = {}
    def __setitem__(self, k, v):
        self.d[k] = v  # FINDING
s = Store()
for i, line in enumerate(open("in.txt")):
    s[i] = line
