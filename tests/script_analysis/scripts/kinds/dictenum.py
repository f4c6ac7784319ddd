rows = dict(enumerate(open("in.txt")))  # FINDING
