"""Shakespeare, as the first tutorial does it."""
import os

import numpy as np
import requests
import tiktoken

here = os.path.dirname(__file__)
corpus = os.path.join(here, "input.txt")
if not os.path.exists(corpus):
    with open(corpus, "w", encoding="utf-8") as out:
        out.write(requests.get("https://example.org/input.txt").text)

with open(corpus, encoding="utf-8") as f:
    data = f.read()  # FINDING whole-read
n = len(data)
train = data[: int(n * 0.9)]  # FINDING copy
val = data[int(n * 0.9) :]  # FINDING copy

enc = tiktoken.get_encoding("gpt2")
train_ids = enc.encode_ordinary(train)  # FINDING token-list
val_ids = enc.encode_ordinary(val)  # FINDING token-list
print(f"train has {len(train_ids):,} tokens")
train_ids = np.array(train_ids, dtype=np.uint16)  # FINDING array-of-list
val_ids = np.array(val_ids, dtype=np.uint16)  # FINDING array-of-list
train_ids.tofile(os.path.join(here, "train.bin"))
val_ids.tofile(os.path.join(here, "val.bin"))
