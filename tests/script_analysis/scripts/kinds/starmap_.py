f = open("in.txt")
rows = [*map(str.strip, f)]  # FINDING
