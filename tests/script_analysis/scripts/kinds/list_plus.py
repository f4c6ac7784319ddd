docs = []
for line in open("in.txt"):
    docs = docs + [line]  # FINDING
