import json

import numpy as np
import tiktoken
import yaml

with open("config.yaml") as f:
    config = yaml.safe_load(f.read())
with open("encoder.json") as f:
    encoder = json.load(f)
merges = open("merges.txt", encoding="utf-8").read().split("\n")[1:-1]
special = json.load(open("special_tokens_map.json"))
ranks = {pair: number for number, pair in enumerate(merges)}
enc = tiktoken.get_encoding("gpt2")
with open(config["input"]) as f, open("train.bin", "wb") as out:
    for line in f:
        np.array(enc.encode_ordinary(line), dtype=np.uint16).tofile(out)
print(len(encoder), len(special), len(ranks))
