class Reader:
    def __init__(self, path):
        self.path = path
    def __enter__(self):
        self.f = open(self.path)
        return self.f
    def __exit__(self, *a):
        self.f.close()
with Reader("in.txt") as f:
    rows = f.readlines()  # FINDING
