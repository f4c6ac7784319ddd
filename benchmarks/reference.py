"""The right answer for an input: tiktoken itself, by two ways of splitting, kept beside the input.

whole      the file is one document (what most scripts do with a .txt)
documents  blank lines separate documents and belong to none

tiktoken runs over pieces cut where GPT-2 splits for certain; tests/ proves such cuts against the call on the whole
text.
"""

from __future__ import annotations

import functools
import hashlib
import json
import multiprocessing as mp
import os
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent / "rivals"))  # rivals are scripts: they import common as a neighbour

import numpy as np
from common import documents, gpt2_encoding, pieces  # type: ignore[import-not-found]  # beside it, see above

if TYPE_CHECKING:
    from collections.abc import Iterator

cached_encoding = functools.cache(gpt2_encoding)  # one for each process of the pool


def expected(source: Path, *, splitting: str, sha256: str) -> dict[str, Any]:
    """{"sha256", "text_tokens", "ends_of_text"} as token_stream.stream_sha256 gives it, from a file if it was kept."""
    kept = Path(f"{source}.expect.json")
    known = json.loads(kept.read_text()) if kept.exists() else {}
    if known.get("input_sha256") != sha256:
        known = {"input_sha256": sha256}
    if splitting not in known:
        known[splitting] = _compute(str(source), splitting)
        kept.write_text(json.dumps(known, indent=1) + "\n")
    answer: dict[str, Any] = known[splitting]
    return answer


def _compute(source: str, splitting: str) -> dict[str, Any]:
    stream = ([piece.decode()] for piece in pieces(source, 1 << 20)) if splitting == "whole" else _batches(source)
    digest, tokens, ends = hashlib.sha256(), 0, 0
    with mp.get_context("spawn").Pool(os.cpu_count()) as pool:
        for ids, count in pool.imap(_encode, stream):
            digest.update(ids)
            tokens += len(ids) // 2
            ends += count
    return {"sha256": digest.hexdigest(), "text_tokens": tokens, "ends_of_text": 1 if splitting == "whole" else ends}


def _batches(source: str) -> Iterator[list[str]]:
    stream = documents(source)
    while batch := list(islice(stream, 200)):
        yield batch


def _encode(texts: list[str]) -> tuple[bytes, int]:
    encoding = cached_encoding()
    ids = [np.array(encoding.encode_ordinary(text), np.uint16).tobytes() for text in texts]
    return b"".join(ids), len(texts)
