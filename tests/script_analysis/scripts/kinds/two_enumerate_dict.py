d = dict(enumerate(open("in.txt")))  # FINDING
