t = open("in.txt").read().splitlines()  # FINDING
