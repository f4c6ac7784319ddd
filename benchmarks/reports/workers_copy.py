"""A data loader's workers: each counts references in the list that its parent read, and so copies it."""

import os
import sys
import time

rows = [line for line in open(sys.argv[1])]  # cause


def worker():
    total = 0
    for row in rows:  # cause
        total += len(row)  # cause
    time.sleep(2)
    os._exit(0)


children = []
for _ in range(4):
    pid = os.fork()
    if not pid:
        worker()
    children.append(pid)
for child in children:
    os.waitpid(child, 0)
print(len(rows))
