import os
n = os.path.getsize("in.bin")
buf = bytearray(n)  # FINDING
with open("in.bin", "rb") as f:
    f.readinto(buf)
