from dataclasses import dataclass, field
@dataclass
class Store:
    rows: list = field(default_factory=list)
    def add(self, x):
        self.rows.append(x)  # FINDING
s = Store()
for line in open("in.txt"):
    s.add(line)
