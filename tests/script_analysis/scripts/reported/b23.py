lines = sorted(open("in.txt"))  # FINDING
