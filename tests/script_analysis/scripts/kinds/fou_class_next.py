class Lines:
    def __init__(self, path):
        self.f = open(path)
    def __iter__(self):
        return self
    def __next__(self):
        line = self.f.readline()
        if not line:
            raise StopIteration
        return line
rows = [l for l in Lines("in.txt")]  # FINDING
