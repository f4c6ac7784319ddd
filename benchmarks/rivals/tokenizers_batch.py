"""Hugging Face's tokenizers 1.0: encode_batch over pieces cut where GPT-2 does, 64 of 16 KiB at a time, 2 threads.

Run it with the Python of .venv-bench-tokenizers (`make .venv-bench-tokenizers/ready`). Of pieces of 4, 16 and 256 KiB,
those of 16 were the fastest.
"""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "true"
os.environ["RAYON_NUM_THREADS"] = "2"

import numpy as np
from common import EOT, arguments, finish, fsync, phase, pieces
from hf_gpt2 import write_tokenizer
from tokenizers import Tokenizer

source, out = arguments()
tokenizer_file = Path(os.environ.get("TMPDIR", "/tmp"), "oomguard-bench-gpt2.json")
if not tokenizer_file.exists():  # made once, some seconds: not the rival's work
    write_tokenizer(tokenizer_file)
tokenizer = Tokenizer.from_file(str(tokenizer_file))
phase("start")
tokens = 0
with (out / "train.bin").open("wb") as file:
    stream = pieces(source, 1 << 14)
    while batch := list(islice(stream, 64)):
        for encoding in tokenizer.encode_batch([piece.decode() for piece in batch], add_special_tokens=False):
            tokens += len(encoding.ids_array)
            file.write(encoding.ids_array.astype(np.uint16).tobytes())
    file.write(np.array([EOT], np.uint16).tobytes())
fsync(out / "train.bin")
phase("encode and write")
finish(tokens + 1, [out / "train.bin"])
