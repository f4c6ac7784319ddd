class Base:
    def __init__(self, path):
        self.lines = open(path).readlines()  # FINDING
class Child(Base):
    def __init__(self, path):
        super().__init__(path)
        self.n = len(self.lines)
c = Child("in.txt")
