"""gigatoken's own way for files: encode_files with 2 threads, the whole result in memory, then written."""

from __future__ import annotations

import os

os.environ["RAYON_NUM_THREADS"] = "2"

import gigatoken
import numpy as np
from common import EOT, RANKS, arguments, finish, fsync, phase

source, out = arguments()
tokenizer = gigatoken.Tokenizer.from_tiktoken(str(RANKS), pretokenizer="gpt2", special_tokens={})
phase("start")
encoded = tokenizer.encode_files(gigatoken.TextFileSource([source]), parallel=True)
flat = encoded.layout.content.data  # uint32[tokens] of the one document, not copied
phase("encode")
with (out / "train.bin").open("wb") as file:
    file.writelines(
        flat[start : start + (1 << 22)].astype(np.uint16).tobytes() for start in range(0, flat.size, 1 << 22)
    )
    file.write(np.array([EOT], np.uint16).tobytes())
fsync(out / "train.bin")
phase("write")
finish(flat.size + 1, [out / "train.bin"])
