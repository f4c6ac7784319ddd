import numpy as np
import tiktoken


class ShardWriter:
    def __init__(self, prefix, size):
        self.prefix, self.size, self.number = prefix, size, 0
        self.tokens = []

    def add(self, ids):
        self.tokens.extend(ids)
        while len(self.tokens) >= self.size:
            self._write(self.tokens[: self.size])
            self.tokens = self.tokens[self.size :]

    def _write(self, ids):
        np.save(f"{self.prefix}_{self.number:06d}", np.array(ids, dtype=np.uint16))
        self.number += 1

    def close(self):
        self._write(self.tokens)


enc = tiktoken.get_encoding("gpt2")
writer = ShardWriter("train", 10**6)
with open("train.txt") as f:
    for line in f:
        writer.add(enc.encode_ordinary(line))
writer.close()
