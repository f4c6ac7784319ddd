from itertools import chain
rows = list(chain(open("a.txt"), open("b.txt")))  # FINDING
