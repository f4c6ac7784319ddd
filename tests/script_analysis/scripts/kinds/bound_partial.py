from functools import partial
table = {}
keep = partial(table.setdefault)
for line in open("in.txt"):
    keep(line, 1)  # FINDING
