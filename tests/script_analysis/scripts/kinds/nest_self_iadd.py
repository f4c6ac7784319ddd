class Corpus:
    def __init__(self):
        self.text = ""
    def add(self, line):
        self.text += line  # FINDING
c = Corpus()
for line in open("in.txt"):
    c.add(line)
