u = sorted(set(open("in.txt")))  # FINDING
