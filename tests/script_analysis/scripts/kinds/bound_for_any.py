seen = set()
with open("in.txt") as f:
    any(map(seen.add, f))  # FINDING
