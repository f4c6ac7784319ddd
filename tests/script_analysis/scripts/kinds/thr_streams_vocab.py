from collections import Counter
c = Counter()
with open("in.txt") as f:
    for line in f:
        c.update(line.lower().split())
with open("vocab.txt", "w") as out:
    for w, n in c.most_common(50_000):
        out.write(f"{w}\t{n}\n")
