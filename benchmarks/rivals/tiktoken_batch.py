"""tiktoken's own threads: encode_ordinary_batch over pieces cut where GPT-2 does, 16 pieces at a time, 2 threads."""

from __future__ import annotations

from itertools import islice

import numpy as np
from common import EOT, arguments, finish, fsync, gpt2_encoding, phase, pieces

source, out = arguments()
encoding = gpt2_encoding()
phase("start")
tokens = 0
with (out / "train.bin").open("wb") as file:
    stream = pieces(source, 1 << 18)
    while batch := list(islice(stream, 16)):
        for ids in encoding.encode_ordinary_batch([piece.decode() for piece in batch], num_threads=2):
            array = np.array(ids, dtype=np.uint16)
            tokens += array.size
            file.write(array.tobytes())
    file.write(np.array([EOT], np.uint16).tobytes())
fsync(out / "train.bin")
phase("encode and write")
finish(tokens + 1, [out / "train.bin"])
