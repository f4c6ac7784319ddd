class Corpus:
    def __init__(self):
        self.words = []
    def add(self, line):
        self.words.extend(line.split())  # FINDING
c = Corpus()
for line in open("in.txt"):
    c.add(line)
