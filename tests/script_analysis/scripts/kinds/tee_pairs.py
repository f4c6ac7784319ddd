import itertools
a, b = itertools.tee(open("in.txt"))
next(b, None)
for x, y in zip(a, b):
    print(x, y)
