seen = set(open("in.txt"))  # FINDING
