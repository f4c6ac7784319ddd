t = "".join(open("in.txt"))  # FINDING
