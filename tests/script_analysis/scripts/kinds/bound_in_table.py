rows, seen = [], set()
actions = {"a": rows.append, "b": seen.add}
for line in open("in.txt"):
    actions[line[0]](line)  # FINDING
