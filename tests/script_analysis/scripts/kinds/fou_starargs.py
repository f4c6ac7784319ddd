def cat(*paths):
    out = []
    for p in paths:
        out.extend(open(p).readlines())  # FINDING
    return out
cat("a.txt", "b.txt")
