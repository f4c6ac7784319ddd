import json

import numpy as np
import tiktoken

enc = tiktoken.get_encoding("gpt2")
ends = []
total = 0
with open("docs.jsonl") as f, open("docs.bin", "wb") as out:
    for line in f:
        ids = enc.encode_ordinary(json.loads(line)["text"])
        np.array(ids, dtype=np.uint16).tofile(out)
        total += len(ids)
        ends.append(total)
np.array(ends, dtype=np.int64).tofile("docs.idx")
