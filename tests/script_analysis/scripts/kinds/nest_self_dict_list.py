from collections import defaultdict
class Index:
    def __init__(self):
        self.by = defaultdict(list)
    def add(self, n, line):
        for w in line.split():
            self.by[w].append(n)  # FINDING
ix = Index()
for n, line in enumerate(open("in.txt")):
    ix.add(n, line)
