import mmap, re
with open("in.txt", "rb") as f:
    mm = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
    words = re.findall(rb"\w+", mm)  # FINDING
