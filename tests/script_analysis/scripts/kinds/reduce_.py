import functools
t = functools.reduce(lambda a, b: a + b, open("in.txt"))  # UNSEEN
