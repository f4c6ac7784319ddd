import io
f = io.TextIOWrapper(open("in.txt", "rb"), encoding="utf-8")
rows = [l for l in f]  # FINDING
