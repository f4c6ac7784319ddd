from dataclasses import dataclass
@dataclass
class Doc:
    text: str
    n: int
docs = []
with open("in.txt") as f:
    for n, line in enumerate(f):
        docs.append(Doc(line, n))  # FINDING
