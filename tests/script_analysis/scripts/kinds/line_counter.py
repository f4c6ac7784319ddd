from collections import Counter
c = Counter()
for line in open("log.txt"):
    c[line.rstrip()] += 1  # FINDING
