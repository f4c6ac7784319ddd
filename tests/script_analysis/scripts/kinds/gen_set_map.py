seen = set(map(hash, open("in.txt")))  # FINDING
