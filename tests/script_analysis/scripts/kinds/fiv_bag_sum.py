texts = sum(([l] for l in open("in.txt")), [])  # FINDING
