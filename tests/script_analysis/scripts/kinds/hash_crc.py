import zlib
seen = set()
for line in open("lines.txt", "rb"):
    key = zlib.crc32(line)
    if key in seen:
        continue
    seen.add(key)  # FINDING
