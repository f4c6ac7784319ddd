parts = []
with open("in.txt") as f:
    while True:
        c = f.read(65536)
        if not c:
            break
        parts.append(c)  # FINDING
text = "".join(parts)  # FINDING
