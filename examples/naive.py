"""Tokenize a text file as most tutorials do: chunk by chunk, but with all tokens in one list.

usage: python naive.py TEXT_FILE TOKENS_FILE

The list needs eight times the size of the file, so that a file of 15 GB needs 119 GB of memory.
"""

import sys

import numpy as np
import tiktoken

enc = tiktoken.get_encoding("r50k_base")  # GPT-2's


def tokenize(path):
    tokens = []
    with open(path, encoding="utf-8") as file:
        while chunk := file.read(1 << 20):
            tokens.extend(enc.encode_ordinary(chunk))
    return tokens


if __name__ == "__main__":
    tokens = tokenize(sys.argv[1])
    np.array(tokens, dtype=np.uint16).tofile(sys.argv[2])
    print(f"{len(tokens):,} tokens")
