"""A parent with 100 MiB; a forked child with 300 MiB for 0.2 s, and one that maps a file of 200 MiB and reads it.

Prints what the three hold together while both children stand still, each page once. Units: bytes.
"""

import mmap
import os
import time

MIB = 1 << 20
NAME = "tree.bin"


def child_with_memory(ready):
    held = bytearray(b"1") * (300 * MIB)
    os.write(ready, b"1")
    time.sleep(0.2)
    return held


def child_with_a_file(ready):
    with open(NAME, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        sum(mapped[page] for page in range(0, len(mapped), mmap.PAGESIZE))
        os.write(ready, b"1")
        time.sleep(60)  # until it is ended


def anonymous(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) << 10 for line in file if line.startswith("Pss_Anon:"))


with open(NAME, "wb") as file:
    file.truncate(200 * MIB)
held = bytearray(b"1") * (100 * MIB)
ours, ready = os.pipe()
children = []
for work in (child_with_a_file, child_with_memory):
    child = os.fork()
    if child == 0:
        work(ready)
        os._exit(0)
    children.append(child)
    os.read(ours, 1)
print(sum(map(anonymous, (os.getpid(), *children))))
os.waitpid(children[1], 0)
os.kill(children[0], 9)
os.waitpid(children[0], 0)
os.unlink(NAME)
