def grams(n):
    for line in open("in.txt"):
        ws = line.split()
        for i in range(len(ws) - n + 1):
            yield tuple(ws[i:i+n])
seen = set(grams(3))  # FINDING
