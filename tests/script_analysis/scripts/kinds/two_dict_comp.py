index = {i: l for i, l in enumerate(open("in.txt"))}  # FINDING
