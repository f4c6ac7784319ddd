base = {"a": 1}
with open("in.txt") as f, open("o.txt", "w") as out:
    for line in f:
        row = {**base, "text": line}
        out.write(repr(row))
