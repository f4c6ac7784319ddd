from collections import defaultdict
groups = defaultdict(list)
for line in open("in.txt"):
    groups[line[:2]] += [line]  # FINDING
