left, right = zip(*(line.split("\t") for line in open("in.tsv")))  # FINDING
