import json

import numpy as np
import tiktoken

enc = tiktoken.get_encoding("gpt2")


def flush(batch, out):
    for ids in enc.encode_ordinary_batch(batch):
        np.array(ids + [enc.eot_token], dtype=np.uint16).tofile(out)


with open("train.jsonl") as f, open("train.bin", "wb") as out:
    batch = []
    for line in f:
        batch.append(json.loads(line)["text"])
        if len(batch) == 512:
            flush(batch, out)
            batch = []
    if batch:
        flush(batch, out)
