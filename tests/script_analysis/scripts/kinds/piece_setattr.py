from types import SimpleNamespace
docs = []
for line in open("in.txt"):
    doc = SimpleNamespace()
    setattr(doc, "text", line)
    docs.append(doc)  # FINDING
