import itertools
with open("in.txt") as f:
    for key, group in itertools.groupby(f, key=lambda l: l[:3]):
        print(key, sum(1 for _ in group))
