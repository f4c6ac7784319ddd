lines = open("a.txt").readlines()  # FINDING
lines = [l.strip() for l in lines]  # FINDING
