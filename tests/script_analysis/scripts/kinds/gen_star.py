def lines():
    for line in open("in.txt"):
        yield line.strip()
rows = [*lines()]  # FINDING
