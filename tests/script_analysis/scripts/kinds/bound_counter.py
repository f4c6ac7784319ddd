from collections import Counter
c = Counter()
count = c.update
for line in open("in.txt"):
    count([line])  # FINDING
