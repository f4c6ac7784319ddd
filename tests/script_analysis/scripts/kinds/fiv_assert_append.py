d = {}
for line in open("in.txt"):
    assert d.setdefault(line, 1)  # FINDING
