rows = []
with open("in.txt") as f:
    while line := f.readline():
        rows += line,  # FINDING
