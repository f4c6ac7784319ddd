class A:
    items = []
    @classmethod
    def add(cls, x):
        cls.items.append(x)  # FINDING
for line in open("in.txt"):
    A.add(line)
