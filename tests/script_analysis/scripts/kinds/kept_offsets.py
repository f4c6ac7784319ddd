import struct
offsets = bytearray()
pos = 0
with open("in.txt", "rb") as f:
    for line in f:
        offsets += struct.pack("<Q", pos)  # FINDING
        pos += len(line)
open("index.bin", "wb").write(offsets)
