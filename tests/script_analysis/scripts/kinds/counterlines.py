from collections import Counter
c = Counter(open("in.txt"))  # FINDING
