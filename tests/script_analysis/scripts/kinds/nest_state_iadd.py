state = {"rows": [], "n": 0}
for line in open("in.txt"):
    state["rows"] += [line]  # FINDING
