last = None
with open("in.txt") as f, open("o.txt", "w") as out:
    for line in f:
        pair = (last, line)
        out.write(repr(pair))
        last = line
