import numpy as np
import tiktoken

enc = tiktoken.get_encoding("gpt2")
parts = []
with open("train.txt", encoding="utf-8") as f:
    for line in f:
        parts.append(np.array(enc.encode_ordinary(line), dtype=np.uint16))  # FINDING growing-list
np.concatenate(parts).tofile("train.bin")  # FINDING concatenate
