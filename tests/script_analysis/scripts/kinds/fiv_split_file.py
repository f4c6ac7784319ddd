with open("in.txt") as f:
    docs = f.read().split("\n\n")  # FINDING
