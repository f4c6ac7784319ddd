from collections import Counter
def bigrams():
    for line in open("in.txt"):
        ws = line.split()
        yield from zip(ws, ws[1:])
c = Counter(bigrams())  # FINDING
