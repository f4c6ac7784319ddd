import mmap
with open("in.txt", "r+b") as f:
    mm = mmap.mmap(f.fileno(), 0)
    text = mm.read().decode()  # FINDING
