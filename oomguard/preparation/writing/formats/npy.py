"""build-nanogpt's shards: NumPy's .npy files.

Source: numpy.lib.format 1.0, as np.save() in build-nanogpt's fineweb.py writes it; load_tokens() of train_gpt2.py
reads it.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from oomguard.kernel.plain_files import open_regular
from oomguard.preparation.writing.formats.base import (
    OutputFormat,
    again,
    for_validation,
    no_train_shard,
    short_last_shard,
)
from oomguard.preparation.writing.formats.stored import RawShard, numbered_files, unreadable
from oomguard.text import shell_word

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.preparation.writing.formats.base import EotPlace, FinishedSet, Layout
    from oomguard.preparation.writing.formats.stored import StoredShard

_HEADER_BYTES = 128  # for every number of tokens, so that the real one can take the place of the planned one


class Npy(OutputFormat):
    """Numbered shards; shard 0 is for validation."""

    name = "npy"
    help = "for build-nanogpt"
    owned = re.compile(r"[^/\0]+_(?:train|val)_[0-9]{6,}\.npy")
    default_name = "edufineweb"
    val_fraction = None

    def end_of_text(self, family: str) -> EotPlace:
        return "before"

    def first_index(self, split: str, *, by_document: bool) -> int:
        return int(by_document and split == "train")

    def file_name(self, layout: Layout, split: str, index: int) -> str:
        return f"{layout.name}_{split}_{index:06d}.npy"

    def header(self, layout: Layout, tokens: int) -> bytes:
        array = f"{{'descr': '<u{layout.token_bytes}', 'fortran_order': False, 'shape': ({tokens},), }}"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", _HEADER_BYTES - 10) + array.encode().ljust(117) + b"\n"

    def notes(self, done: FinishedSet) -> list[str]:
        if not done.tokens("train"):
            return [no_train_shard(done)]
        notes = short_last_shard(done, "build-nanogpt stops (RuntimeError)")
        if not done.tokens("val"):
            notes.append(f"there is no val shard, which train_gpt2.py asserts; to get one: {for_validation(done, 0)}")
        return notes

    def next_lines(self, done: FinishedSet) -> list[str]:
        if not done.tokens("train"):
            return again(done, f"--shard-tokens {max(1, done.tokens('val') // 10)}")
        if not done.tokens("val"):
            return again(done, for_validation(done, 0))
        lines = [
            "next: in a build-nanogpt checkout:",
            f"  ln -s {shell_word(done.folder)} edu_fineweb10B",
            "  python train_gpt2.py",
        ]
        if done.layout.token_bytes == 4:
            lines.append("tokens are uint32: load_tokens() keeps them, but the model needs a vocab_size to match")
        return lines

    def stored_shards(self, folder: Path, *, known: Layout | None) -> list[StoredShard]:
        return [_stored(path, split) for path, split in numbered_files(folder, ".npy") if _is_npy(path)]


def _is_npy(path: Path) -> bool:
    with open_regular(path) as file:
        return file.read(6) == b"\x93NUMPY"  # OLMo's files bear the same name, and have no header


def _stored(path: Path, split: str) -> RawShard:
    import ast

    with open_regular(path) as file:
        start = file.read(10)
        size = struct.unpack("<H", start[8:10])[0]
        text = file.read(size)
    try:
        array = ast.literal_eval(text.decode("latin-1").strip())
        (tokens,) = array["shape"]
        return RawShard(path=path, split=split, dtype=array["descr"], extents=((10 + size, int(tokens)),))
    except (ValueError, SyntaxError, KeyError, TypeError) as error:
        raise unreadable(path, ": its header is not that of one row of tokens", "file FILE") from error
