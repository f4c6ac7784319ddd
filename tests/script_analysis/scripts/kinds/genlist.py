def docs():
    for line in open("in.txt"):
        yield line
rows = list(docs())  # FINDING
