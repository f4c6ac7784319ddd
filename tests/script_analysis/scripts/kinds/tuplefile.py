t = tuple(open("in.txt"))  # FINDING
