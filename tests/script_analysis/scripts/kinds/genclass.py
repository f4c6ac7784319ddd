class C:
    def __init__(self, p):
        self.p = p
    def __iter__(self):
        for line in open(self.p):
            yield line.strip()
rows = [x for x in C("in.txt")]  # FINDING
