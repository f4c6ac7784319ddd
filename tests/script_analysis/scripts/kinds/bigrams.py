from collections import defaultdict
counts = defaultdict(int)
for line in open("in.txt"):
    ws = line.split()
    for a, b in zip(ws, ws[1:]):
        counts[a, b] += 1  # FINDING
