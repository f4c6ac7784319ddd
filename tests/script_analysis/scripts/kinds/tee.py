import itertools
a, b = itertools.tee(open("in.txt"))  # FINDING
n = sum(1 for _ in a)
for line in b:
    print(n, line)
