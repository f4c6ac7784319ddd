"""Count the tokens first, then fill a memmap."""
import json

import numpy as np
import tiktoken

enc = tiktoken.get_encoding("gpt2")


def documents(path):
    with open(path) as f:
        for line in f:
            yield json.loads(line)["text"]


total = sum(len(enc.encode_ordinary(doc)) for doc in documents("train.jsonl"))
tokens = np.memmap("train.bin", dtype=np.uint16, mode="w+", shape=(total,))
at = 0
for doc in documents("train.jsonl"):
    ids = enc.encode_ordinary(doc)
    tokens[at : at + len(ids)] = ids
    at += len(ids)
tokens.flush()
