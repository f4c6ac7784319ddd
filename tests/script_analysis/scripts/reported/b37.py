import mmap
f = open("in.txt", "rb")
m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
data = m[:]  # FINDING
