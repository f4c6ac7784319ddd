rows = []
add = getattr(rows, "append")
for line in open("in.txt"):
    add(line)  # FINDING
