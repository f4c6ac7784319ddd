"""One way to compare token files of every format: the ids without end-of-text, and how many of those there were.

So "end-of-text before" and "after each document" give the same sha256; the count of documents is compared too.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

EOT = 50256
HEADERS = {".npy": 128, ".bin": 0, ".ds": 0}  # bytes before the first uint16; llm.c's own header is found by its magic
LLMC_MAGIC = (20240520).to_bytes(4, "little")
PIECE = 8 << 20


def stream_sha256(files: list[Path]) -> dict[str, Any]:
    digest, ids, ends = hashlib.sha256(), 0, 0
    for path in files:
        with path.open("rb") as file:
            start = 1024 if file.read(4) == LLMC_MAGIC else HEADERS[path.suffix]
            file.seek(start)
            while piece := file.read(PIECE):
                tokens = np.frombuffer(piece, np.uint16)
                text = tokens[tokens != EOT]
                digest.update(text.tobytes())
                ids += text.size
                ends += tokens.size - text.size
    return {"sha256": digest.hexdigest(), "text_tokens": ids, "ends_of_text": ends}
