import multiprocessing as mp

import numpy as np
import tiktoken


def worker(inbox, outbox):
    enc = tiktoken.get_encoding("gpt2")
    for number, text in iter(inbox.get, None):
        outbox.put((number, np.array(enc.encode_ordinary(text), dtype=np.uint16).tobytes()))
    outbox.put(None)


def main():
    inbox, outbox = mp.Queue(maxsize=32), mp.Queue(maxsize=32)
    process = mp.Process(target=worker, args=(inbox, outbox))
    process.start()
    with open("train.txt") as f:
        number = 0
        while text := f.read(1 << 20):
            inbox.put((number, text))
            number += 1
    inbox.put(None)
    process.join()


if __name__ == "__main__":
    main()
