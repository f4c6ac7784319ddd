rows = []
with open("in.txt") as f:
    for line in f:
        rows[len(rows):] = [line]  # FINDING
