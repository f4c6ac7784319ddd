rows = list(filter(str.strip, open("in.txt")))  # FINDING
