class Store:
    def __init__(self):
        self.rows = []
    def keep(self, x):
        self.rows.append(x)  # FINDING
s = Store()
keep = s.keep
for line in open("in.txt"):
    keep(line)
