import os
fd = os.open("in.bin", os.O_RDONLY)
out = b""
while block := os.read(fd, 1 << 20):
    out += block  # FINDING
