from collections import Counter
c = Counter(line.strip() for line in open("in.txt"))  # FINDING
