"""Maps its input, and keeps its lines."""

import mmap
import sys

kept = []
with open(sys.argv[1], "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
    while line := mapped.readline():
        kept.append(line)
