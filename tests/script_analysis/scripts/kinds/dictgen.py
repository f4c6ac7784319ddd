d = dict(line.split("\t") for line in open("in.txt"))  # FINDING
