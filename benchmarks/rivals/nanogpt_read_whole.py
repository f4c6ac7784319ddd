"""nanoGPT's way: read the file, encode it in one call, make an array of the list.

Source: nanoGPT data/shakespeare/prepare.py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from common import EOT, arguments, finish, fsync, gpt2_encoding, phase

source, out = arguments()
encoding = gpt2_encoding()
phase("start")
with Path(source).open(encoding="utf-8", newline="") as file:  # newline="": bytes as they are, like the others
    text = file.read()
phase("read")
ids = encoding.encode_ordinary(text)
ids.append(EOT)
phase("encode")
np.array(ids, dtype=np.uint16).tofile(out / "train.bin")
fsync(out / "train.bin")
phase("write")
finish(len(ids), [out / "train.bin"])
