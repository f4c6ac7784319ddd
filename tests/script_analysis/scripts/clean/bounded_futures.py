from collections import deque
from concurrent.futures import ProcessPoolExecutor

import tiktoken

enc = tiktoken.get_encoding("gpt2")


def work(text):
    return enc.encode_ordinary(text)


def main():
    waiting = deque()
    with ProcessPoolExecutor() as pool, open("train.txt") as f, open("out.txt", "w") as out:
        for line in f:
            waiting.append(pool.submit(work, line))
            while len(waiting) > 64:
                out.write(f"{waiting.popleft().result()}\n")
        while waiting:
            out.write(f"{waiting.popleft().result()}\n")


main()
