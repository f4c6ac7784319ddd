first, *rest = open("in.txt")  # FINDING
