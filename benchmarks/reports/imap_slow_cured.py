"""The same with a semaphore: a task is handed out when a result was taken."""

import multiprocessing
import threading
import time


def produce(number):
    return "x" * 400_000


def held_back(numbers, room):
    for number in numbers:
        room.acquire()
        yield number


if __name__ == "__main__":
    room = threading.Semaphore(16)
    with multiprocessing.get_context("fork").Pool(2) as pool, open("out.txt", "w") as out:
        for text in pool.imap(produce, held_back(range(500), room)):
            out.write(text)
            room.release()
            time.sleep(0.02)
    print("done")
