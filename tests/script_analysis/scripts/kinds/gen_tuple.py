def rows():
    with open("in.csv") as f:
        for line in f:
            yield tuple(line.rstrip().split(","))
table = tuple(rows())  # FINDING
