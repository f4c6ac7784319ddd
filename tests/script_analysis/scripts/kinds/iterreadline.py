rows = []
f = open("in.txt")
for line in iter(f.readline, ""):
    rows.append(line)  # FINDING
