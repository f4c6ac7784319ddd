class Store:
    def __init__(self):
        self.rows = []
        self.add = self.rows.append
s = Store()
for line in open("in.txt"):
    s.add(line)  # FINDING
