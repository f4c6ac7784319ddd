seen = {}
for line in open("in.txt"):
    key = line.strip()
    if key not in seen:
        seen[key] = 0  # FINDING
    seen[key] = seen[key] + 1
