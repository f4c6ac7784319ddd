seen = set()
with open("in.txt") as f:
    for line in f:
        toks = line.split()
        for i in range(len(toks) - 5):
            seen.add(" ".join(toks[i:i + 5]))  # FINDING
