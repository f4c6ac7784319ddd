"""The advice of every forum: read in pieces. The list still holds all of it."""
import numpy as np
import tiktoken

enc = tiktoken.get_encoding("gpt2")
CHUNK = 16 * 1024 * 1024


def main():
    tokens = []
    with open("train.txt", encoding="utf-8") as f:
        while True:
            piece = f.read(CHUNK)
            if not piece:
                break
            tokens.extend(enc.encode_ordinary(piece))  # FINDING token-list
    np.array(tokens, dtype=np.uint16).tofile("train.bin")  # FINDING array-of-list


if __name__ == "__main__":
    main()
