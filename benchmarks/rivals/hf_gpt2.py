"""GPT-2 as a tokenizer.json of Hugging Face's tokenizers (0.20 on, and 1.0), from tiktoken's ranks: no network needed.

The merges follow from the ranks: encode each token with the tokens before it only, until two parts are left; those two
are its merge. Source: tiktoken's ranks are numbered in the order of GPT-2's merges.
"""

from __future__ import annotations

import base64
import json
import os
from itertools import pairwise
from pathlib import Path

from common import RANKS


def write_tokenizer(path: Path) -> None:
    """Write tokenizer.json, at once or not at all."""
    lines = (line.split() for line in RANKS.read_bytes().splitlines())
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    # GPT-2's bytes_to_unicode: printable bytes stand for themselves, the others for the characters from 256 on.
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    shown = {byte: chr(byte) for byte in printable}
    shown |= {byte: chr(256 + n) for n, byte in enumerate(byte for byte in range(256) if byte not in shown)}

    def text(token: bytes) -> str:
        return "".join(shown[byte] for byte in token)

    merges = []
    for token, rank in ranks.items():
        parts = [bytes([byte]) for byte in token]
        while len(parts) > 2:
            pairs = [ranks.get(a + b, rank) for a, b in pairwise(parts)]
            at = min(range(len(pairs)), key=pairs.__getitem__)
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        if len(parts) == 2:
            merges.append((text(parts[0]), text(parts[1])))
    vocabulary = {text(token): rank for token, rank in ranks.items()} | {"<|endoftext|>": 50256}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": byte_level,
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": merges},
    }
    part = Path(f"{path}.{os.getpid()}")
    part.write_text(json.dumps(tokenizer))
    part.replace(path)
