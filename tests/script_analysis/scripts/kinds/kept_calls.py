from functools import partial
later = []
for line in open("in.txt"):
    later.append(partial(print, line))  # FINDING
    later.append(lambda line=line: print(line))  # FINDING
