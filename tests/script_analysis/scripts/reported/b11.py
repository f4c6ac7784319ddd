from collections import Counter
pairs = Counter()
for line in open("in.txt"):
    ws = line.split()
    pairs.update(zip(ws, ws[1:]))  # FINDING
