"""Threads free what they made, and malloc keeps it: in each arena a small block at the end is still used."""

import threading
import time

kept = []
turn = threading.Lock()


def work():
    with turn:
        made = [b"x" * (60_000 + number) for number in range(400)]  # cause
        kept.append(b"x" * 20_000)
        del made
    time.sleep(1)


threads = [threading.Thread(target=work) for _ in range(12)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(sum(len(each) for each in kept))
