from collections import Counter
c = Counter(open("in.txt").read())  # FINDING
