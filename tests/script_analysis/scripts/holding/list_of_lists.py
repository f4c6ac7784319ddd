import numpy as np
import tiktoken
from tqdm import tqdm

enc = tiktoken.get_encoding("gpt2")


def tokenize_file(path):
    encoded = []
    with open(path, encoding="utf-8") as handle:
        for line in tqdm(handle, unit="lines"):
            line = line.strip()
            if not line:
                continue
            encoded.append(enc.encode_ordinary(line) + [enc.eot_token])  # FINDING token-list
    return encoded


docs = tokenize_file("wiki.txt")
flat = [token for doc in docs for token in doc]  # FINDING token-list
np.array(flat, dtype=np.uint16).tofile("wiki.bin")  # FINDING array-of-list
