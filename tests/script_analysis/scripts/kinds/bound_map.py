rows = []
with open("in.txt") as f:
    list(map(rows.append, f))  # FINDING
