import hashlib, struct, mmap
class Bloom:
    def __init__(self, bits=1 << 30):
        self.bits = bits
        self.array = bytearray(bits // 8)
    def add(self, item):
        h = hashlib.sha256(item).digest()
        seen = True
        for i in range(4):
            n = int.from_bytes(h[8*i:8*i+8], "big") % self.bits
            if not self.array[n >> 3] & (1 << (n & 7)):
                seen = False
                self.array[n >> 3] |= 1 << (n & 7)
        return seen
bloom = Bloom()
with open("in.txt", "rb") as f, open("out.txt", "wb") as out:
    for line in f:
        if not bloom.add(line):
            out.write(line)
