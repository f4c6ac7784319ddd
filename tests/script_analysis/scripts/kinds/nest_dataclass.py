from dataclasses import dataclass, field
@dataclass
class Doc:
    words: list = field(default_factory=list)
docs = []
for line in open("in.txt"):
    d = Doc()
    for w in line.split():
        d.words.append(w)
    docs.append(d)  # FINDING
