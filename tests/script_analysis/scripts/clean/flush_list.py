import numpy as np
import tiktoken

enc = tiktoken.get_encoding("gpt2")
LIMIT = 1_000_000
buffer = []
with open("train.txt", encoding="utf-8") as f, open("train.bin", "wb") as out:
    for line in f:
        buffer.extend(enc.encode_ordinary(line))
        if len(buffer) >= LIMIT:
            np.array(buffer, dtype=np.uint16).tofile(out)
            buffer = []
    np.array(buffer, dtype=np.uint16).tofile(out)
