"""Results of imap wait in the parent while they are written more slowly than they are made."""

import multiprocessing
import time


def produce(number):
    return "x" * 400_000


if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool, open("out.txt", "w") as out:
        for text in pool.imap(produce, range(500)):  # cause
            out.write(text)
            time.sleep(0.02)  # cause
    print("done")
