s = set()
for line in open("in.txt"):
    s.update([line])  # FINDING
