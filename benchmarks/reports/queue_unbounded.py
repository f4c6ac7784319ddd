"""A queue without a limit between a fast reader and a slow writer."""

import os
import queue
import sys
import threading
import time

jobs = queue.Queue()  # cause


def consume():
    while (line := jobs.get()) is not None:
        time.sleep(0.001)


writer = threading.Thread(target=consume)
writer.start()
total = 0
for line in open(sys.argv[1]):
    jobs.put(line.split())  # cause
    total += 1
jobs.put(None)
print(total, flush=True)
os._exit(0)
