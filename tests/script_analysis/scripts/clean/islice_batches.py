import itertools
import json

import numpy as np
import tiktoken

enc = tiktoken.get_encoding("gpt2")
with open("train.jsonl") as f, open("train.bin", "wb") as out:
    while lines := list(itertools.islice(f, 1000)):
        texts = [json.loads(line)["text"] for line in lines]
        for ids in enc.encode_ordinary_batch(texts):
            np.array(ids, dtype=np.uint16).tofile(out)
