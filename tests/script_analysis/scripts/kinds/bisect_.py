import bisect
h = []
for line in open("in.txt"):
    bisect.insort(h, line)  # FINDING
