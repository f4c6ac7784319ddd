class C:
    rows = []
    @classmethod
    def add(cls, x):
        cls.rows.append(x)  # FINDING
for line in open("in.txt"):
    C.add(line)
