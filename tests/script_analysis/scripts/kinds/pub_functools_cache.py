from functools import cache
@cache  # FINDING
def norm(w):
    return w.lower()
with open("in.txt") as f, open("o.txt", "w") as out:
    for line in f:
        out.write(norm(line))
