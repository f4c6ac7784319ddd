import numpy as np
import tiktoken
enc = tiktoken.get_encoding("gpt2")
all_ids = np.array([], dtype=np.uint16)
for line in open("in.txt"):
    all_ids = np.concatenate((all_ids, np.array(enc.encode(line), dtype=np.uint16)))  # FINDING
