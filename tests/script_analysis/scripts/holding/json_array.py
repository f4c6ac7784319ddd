"""TinyStories-like: each shard is one JSON array."""
import glob
import json

import numpy as np
import tiktoken

enc = tiktoken.get_encoding("gpt2")
eot = enc.eot_token
all_tokens = []
for shard in sorted(glob.glob("TinyStories_all_data/*.json")):
    with open(shard) as f:
        stories = json.load(f)  # FINDING json-load
    for story in stories:
        all_tokens.append(eot)
        all_tokens.extend(enc.encode_ordinary(story["story"].strip()))  # FINDING token-list
np.asarray(all_tokens, dtype=np.uint16).tofile("tinystories.bin")  # FINDING array-of-list
