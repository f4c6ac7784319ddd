import numpy as np
import tiktoken

enc = tiktoken.get_encoding("gpt2")
tokens = np.array([], dtype=np.uint16)
with open("train.txt") as f:
    while piece := f.read(1 << 20):
        new = np.array(enc.encode_ordinary(piece), dtype=np.uint16)
        tokens = np.concatenate([tokens, new])  # FINDING growing-array
tokens.tofile("train.bin")
