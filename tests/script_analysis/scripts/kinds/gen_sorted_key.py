def lines():
    with open("in.txt") as f:
        yield from f
rows = sorted(lines(), key=len)  # FINDING
