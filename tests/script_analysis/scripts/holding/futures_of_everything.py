from concurrent.futures import ProcessPoolExecutor

import numpy as np
import tiktoken

ENC = tiktoken.get_encoding("gpt2")


def work(line: str) -> np.ndarray:
    return np.array(ENC.encode_ordinary(line), dtype=np.uint16)


with ProcessPoolExecutor(4) as pool, open("train.txt") as f:
    futures = [pool.submit(work, line) for line in f]  # FINDING growing-list
with open("train.bin", "wb") as out:
    for future in futures:
        out.write(future.result().tobytes())
