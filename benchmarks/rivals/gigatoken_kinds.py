"""gigatoken's encode_files with 2 threads over files of one kind, then written: KIND OUT_DIR FILE..

No end-of-text token is put between documents, and nothing but the ids is written: less than oomguard does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["RAYON_NUM_THREADS"] = "2"

import gigatoken
import numpy as np
from common import RANKS, finish, fsync, phase

SOURCES = {
    "text": gigatoken.TextFileSource,
    "jsonl": gigatoken.JsonlFileSource,
    "parquet": gigatoken.ParquetFileSource,
}

kind, out, files = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
out.mkdir(parents=True, exist_ok=True)
tokenizer = gigatoken.Tokenizer.from_tiktoken(str(RANKS), pretokenizer="gpt2", special_tokens={})
phase("start")
encoded = tokenizer.encode_files(SOURCES[kind](files), parallel=True)
flat = encoded.layout.content.data  # uint32[tokens] of all documents, not copied
phase("encode")
with (out / "train.bin").open("wb") as file:
    file.writelines(
        flat[start : start + (1 << 22)].astype(np.uint16).tobytes() for start in range(0, flat.size, 1 << 22)
    )
fsync(out / "train.bin")
phase("write")
finish(flat.size, [out / "train.bin"], documents=len(encoded))
