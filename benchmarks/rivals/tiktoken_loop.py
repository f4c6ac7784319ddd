"""The reference: one thread, tiktoken piece by piece, each piece written at once. Exact, and small; but slow.

`--numpy` uses encode_to_numpy, which makes no list: the same ids a third faster, but few know it.
"""

from __future__ import annotations

import sys

import numpy as np
from common import EOT, arguments, finish, fsync, gpt2_encoding, phase, pieces

source, out = arguments()
encoding = gpt2_encoding()
phase("start")
tokens = 0
numpy_form = "--numpy" in sys.argv
with (out / "train.bin").open("wb") as file:
    for piece in pieces(source, 1 << 20):
        text = piece.decode()
        found = encoding.encode_to_numpy(text, disallowed_special=()) if numpy_form else encoding.encode_ordinary(text)
        ids = np.array(found, dtype=np.uint16)
        tokens += ids.size
        file.write(ids.tobytes())
    file.write(np.array([EOT], np.uint16).tobytes())
fsync(out / "train.bin")
phase("encode and write")
finish(tokens + 1, [out / "train.bin"])
