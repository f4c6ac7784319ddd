"""Ten processes that hold 20 MiB each, and work a little, for so many seconds."""

import os
import sys
import time

until = time.monotonic() + float(sys.argv[1])
for _ in range(9):
    if os.fork() == 0:
        break
held = bytearray(b"1") * (20 << 20)
while time.monotonic() < until:
    sum(range(10_000))
    time.sleep(0.05)
