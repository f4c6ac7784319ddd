import mmap
with open("in.txt", "rb") as f:
    mm = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
    data = bytes(mm)  # FINDING
