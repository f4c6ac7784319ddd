seen = {hash(line) for line in open("in.txt")}  # FINDING
