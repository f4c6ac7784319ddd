class Base:
    def __init__(self):
        self.rows = []
    def keep(self, x):
        self.rows.append(x)  # FINDING
class Child(Base):
    def feed(self, line):
        self.keep(line)
c = Child()
for line in open("in.txt"):
    c.feed(line)
