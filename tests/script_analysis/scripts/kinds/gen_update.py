def lines():
    with open("in.txt") as f:
        for line in f:
            yield line
seen = set()
seen.update(lines())  # FINDING
