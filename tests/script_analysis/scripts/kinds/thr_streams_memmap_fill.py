import numpy as np
import tiktoken
enc = tiktoken.get_encoding("gpt2")
n = 0
with open("in.txt") as f:
    for line in f:
        n += len(enc.encode_ordinary(line))
arr = np.memmap("o.bin", dtype=np.uint16, mode="w+", shape=(n,))
i = 0
with open("in.txt") as f:
    for line in f:
        ids = enc.encode_ordinary(line)
        arr[i:i + len(ids)] = ids
        i += len(ids)
arr.flush()
