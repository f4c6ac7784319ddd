from multiprocessing import Pool

import numpy as np
import tiktoken

enc = tiktoken.get_encoding("gpt2")


def tokenize(line):
    return enc.encode_ordinary(line)


if __name__ == "__main__":
    with open("train.txt") as f, Pool(8) as pool:
        results = pool.map(tokenize, f, chunksize=1000)  # FINDING pool-map
    np.concatenate([np.array(ids, dtype=np.uint16) for ids in results]).tofile("train.bin")  # FINDING growing-list concatenate
