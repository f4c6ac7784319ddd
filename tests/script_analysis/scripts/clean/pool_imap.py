import multiprocessing as mp

import numpy as np
import tiktoken

enc = tiktoken.get_encoding("gpt2")


def encode(line):
    return np.array(enc.encode_ordinary(line), dtype=np.uint16).tobytes()


if __name__ == "__main__":
    with mp.Pool() as pool, open("train.txt", encoding="utf-8") as f, open("train.bin", "wb") as out:
        for ids in pool.imap(encode, f, chunksize=256):
            out.write(ids)
