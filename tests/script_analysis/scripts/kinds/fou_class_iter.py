class Corpus:
    def __init__(self, path):
        self.path = path
    def __iter__(self):
        for line in open(self.path):
            yield line.split()
docs = list(Corpus("in.txt"))  # FINDING
