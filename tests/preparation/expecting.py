"""What `prepare` has to give, made the slow and obvious way: tiktoken on each whole document."""

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from oomguard.preparation.encoding.encodings import find_encoding
from tests.reference import CHARACTERS, encoding_of

SEPARATORS = ["<|endoftext|>", "\n\n", "aa", "==="]  # three of them overlap themselves


def documents_of(text: str, separator: str) -> list[str]:
    """The documents of a text file: a separator at the very end ends the last one and begins no other."""
    documents = text.split(separator) if separator else [text]
    return documents[:-1] if documents[-1] == "" else documents


def tokens_of(documents: Iterable[str], *, encoding: str = "gpt2", eot: str = "after") -> list[int]:
    """The ids of each document, with end-of-text before or after it."""
    spec = find_encoding(encoding)
    tokens: list[int] = []
    for document in documents:
        ids = encoding_of(spec.name).encode_ordinary(document)
        tokens += {"before": [spec.eot, *ids], "after": [*ids, spec.eot], "none": ids}[eot]
    return tokens


def read_tokens(file: Path, *, token_bytes: int = 2) -> list[int]:
    """The ids in a file without a header."""
    return np.fromfile(file, f"<u{token_bytes}").tolist() if file.exists() else []


def last_checkpoint(out: Path) -> dict[str, Any] | None:
    """What the manifest in an output folder says was done at its last whole checkpoint."""
    lines = (out / ".oomguard" / "manifest.jsonl").read_bytes().splitlines()
    points = [
        json.loads(line)["checkpoint"] for line in lines if line.startswith(b'{"checkpoint"') and line.endswith(b"}")
    ]
    return points[-1] if points else None


def hostile_text(seed: int, parts: int) -> str:
    """Characters and words of every Unicode class in every order, with long runs of one kind among them."""
    chance = random.Random(seed)
    chosen = chance.choices(CHARACTERS, k=parts)
    return "".join(part * (chance.choice([1, 1, 1, 1, 2, 3, 40]) if len(part) == 1 else 1) for part in chosen)


def hostile_documents(seed: int, count: int) -> list[str]:
    """Documents of many lengths, some of them empty."""
    chance = random.Random(seed)
    return [hostile_text(chance.randrange(1 << 30), chance.choice([0, 1, 5, 30, 300])) for _ in range(count)]
