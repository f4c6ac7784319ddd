docs = [l for l in open("in.txt")]  # FINDING
d = [[abs(len(a) - len(b)) for b in docs] for a in docs]  # FINDING
