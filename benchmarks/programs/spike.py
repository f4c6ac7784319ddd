"""A grandchild holds 300 MiB for 0.1 s, after a rest."""

import os
import time

time.sleep(1.5)
if os.fork() == 0:
    if os.fork() == 0:
        held = bytearray(b"1") * (300 << 20)
        time.sleep(0.1)
        os._exit(0)
    os.wait()
    os._exit(0)
os.wait()
time.sleep(1.0)
