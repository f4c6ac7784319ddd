import hashlib
first = {}
with open("lines.txt") as f:
    for n, line in enumerate(f):
        d = hashlib.sha1(line.encode()).digest()
        first.setdefault(d, n)  # FINDING
