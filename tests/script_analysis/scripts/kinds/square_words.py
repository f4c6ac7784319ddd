from itertools import combinations
with open("in.txt") as f, open("o.txt", "w") as out:
    for line in f:
        for a, b in combinations(line.split(), 2):
            out.write(f"{a} {b}\n")
