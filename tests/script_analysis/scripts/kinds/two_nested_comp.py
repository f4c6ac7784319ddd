words = [w for l in open("in.txt") for w in l.split()]  # FINDING
