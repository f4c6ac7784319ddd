"""build-nanogpt's way: a pool tokenizes documents, the parent fills shards of 10**8 tokens.

Source: build-nanogpt fineweb.py. The same loop, shard size and chunksize; documents are read as a stream; two workers
for two processors.
"""

from __future__ import annotations

import multiprocessing as mp
from typing import TYPE_CHECKING

import numpy as np
from common import EOT, arguments, documents, finish, fsync, gpt2_encoding, phase

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARD = 10**8
encoding = gpt2_encoding()


def tokenize(document: str) -> NDArray[np.uint16]:
    return np.array([EOT, *encoding.encode_ordinary(document)], dtype=np.uint16)


if __name__ == "__main__":
    source, out = arguments()
    phase("start")
    shard, files, total, used = np.empty(SHARD, np.uint16), [], 0, 0
    with mp.Pool(2) as pool:
        for encoded in pool.imap(tokenize, documents(source), chunksize=16):
            tokens = encoded
            total += len(tokens)
            while len(tokens):
                part, tokens = tokens[: SHARD - used], tokens[SHARD - used :]
                shard[used : used + len(part)] = part
                used += len(part)
                if used == SHARD:
                    files.append(out / f"edufineweb_train_{len(files):06d}.npy")
                    np.save(files[-1], shard)
                    used = 0
    if used:
        files.append(out / f"edufineweb_train_{len(files):06d}.npy")
        np.save(files[-1], shard[:used])
    for path in files:
        fsync(path)
    phase("encode and write")
    finish(total, files)
