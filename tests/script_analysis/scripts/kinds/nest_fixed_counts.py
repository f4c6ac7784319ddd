counts = {"short": 0, "long": 0}
for line in open("in.txt"):
    counts["short" if len(line) < 80 else "long"] += 1
print(counts)
