"""llm.c-like: the shard's buffer becomes a Python list when it is written."""
import argparse

import numpy as np
import tiktoken
from datasets import load_dataset

parser = argparse.ArgumentParser()
parser.add_argument("-s", "--shard_size", type=int, default=10**8)
args = parser.parse_args()


def write_datafile(filename, toks):
    header = np.zeros(256, dtype=np.int32)
    header[0] = 20240520
    header[2] = len(toks)
    toks_np = np.array(toks, dtype=np.uint16)
    with open(filename, "wb") as f:
        f.write(header.tobytes())
        f.write(toks_np.tobytes())


enc = tiktoken.get_encoding("gpt2")
stream = load_dataset("HuggingFaceFW/fineweb", name="sample-10BT", split="train", streaming=True)
buffer = np.empty((args.shard_size,), dtype=np.uint16)
count = shard = 0
for doc in stream:
    ids = [50256] + enc.encode_ordinary(doc["text"])
    if count + len(ids) < args.shard_size:
        buffer[count : count + len(ids)] = ids
        count += len(ids)
    else:
        write_datafile(f"fineweb_train_{shard:06d}.bin", buffer.tolist())  # FINDING tolist
        shard += 1
        count = 0
