uniq = set(open("in.txt").read().split("\n"))  # FINDING
