from types import SimpleNamespace
s = SimpleNamespace(rows=[])
for line in open("in.txt"):
    s.rows.append(line)  # FINDING
