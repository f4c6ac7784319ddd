state = {"rows": [], "n": 0}
for line in open("in.txt"):
    state["rows"].append(line)  # FINDING
    state["n"] += 1
