pairs = list(zip(open("a.txt"), open("b.txt")))  # FINDING
