with open("in.txt") as f, open("o.txt", "w") as out:
    for _ in map(out.write, f):
        pass
