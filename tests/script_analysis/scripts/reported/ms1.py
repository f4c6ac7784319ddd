import hashlib, sys
seen = set()
for line in open("in.txt", "rb"):
    h = hashlib.md5(line).hexdigest()
    if h not in seen:
        seen.add(h)  # FINDING
        sys.stdout.buffer.write(line)
