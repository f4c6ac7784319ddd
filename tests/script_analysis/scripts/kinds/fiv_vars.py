b = {}
for i, line in enumerate(open("in.txt")):
    globals()[f"x{i}"] = line  # FINDING
