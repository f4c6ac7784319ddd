f = open("in.bin", "rb")
b = bytearray()
for c in iter(lambda: f.read(100), b""):
    b.extend(c)  # FINDING
