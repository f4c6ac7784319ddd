buf = bytearray()
with open("in.txt", "rb") as f:
    while block := f.read(1 << 20):
        buf += block  # FINDING
