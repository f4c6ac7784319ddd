"""The same with room for 100."""

import os
import queue
import sys
import threading
import time

jobs = queue.Queue(maxsize=100)


def consume():
    number = 0
    while (line := jobs.get()) is not None:
        number += 1
        if number % 2000 == 0:
            time.sleep(0.001)


writer = threading.Thread(target=consume)
writer.start()
total = 0
for line in open(sys.argv[1]):
    jobs.put(line.split())
    total += 1
jobs.put(None)
print(total, flush=True)
os._exit(0)
