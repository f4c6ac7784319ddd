prev = None
for line in open("in.txt"):
    if prev is not None and line != prev:
        print(prev)
    prev = line
