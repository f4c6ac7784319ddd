def each(path, do):
    for line in open(path):
        do(line)  # FINDING
rows = []
each("in.txt", rows.append)
