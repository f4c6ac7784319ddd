"""llm.c's shards, which modded-nanogpt reads, too: 256 int32, then the tokens.

Source: llm.c dev/data/data_common.py write_datafile(): magic, version, token count; "gpt-2" is uint16, "llama-3" is
uint32. Its loaders: llmc/dataloader.h, train_gpt2.py, train_llama3.py.
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

_KINDS = {2: (20240520, 1), 4: (20240801, 7)}  # by bytes a token: magic and version of "gpt-2", of "llama-3"
_HEADER_BYTES = 256 * 4
_MOST_BYTES = 2**31 - _HEADER_BYTES  # its loader seeks with an int


class Llmc(OutputFormat):
    """Numbered shards; shard 0 is for validation."""

    name = "llmc"
    help = "for llm.c and modded-nanogpt"
    owned = re.compile(r"[^/\0]+_(?:train|val)_[0-9]{6,}\.bin")
    default_name = "fineweb"
    val_fraction = None

    def end_of_text(self, family: str) -> EotPlace:
        return "before"

    def most_tokens(self, token_bytes: int) -> int:
        return _MOST_BYTES // token_bytes

    def first_index(self, split: str, *, by_document: bool) -> int:
        return int(by_document and split == "train")

    def file_name(self, layout: Layout, split: str, index: int) -> str:
        return f"{layout.name}_{split}_{index:06d}.bin"

    def header(self, layout: Layout, tokens: int) -> bytes:
        return struct.pack("<3i", *_KINDS[layout.token_bytes], tokens).ljust(_HEADER_BYTES, b"\0")

    def notes(self, done: FinishedSet) -> list[str]:
        if not done.tokens("train"):
            return [no_train_shard(done)]
        notes = short_last_shard(done, "llm.c aborts at startup (assertion)")
        if len(done.of("train")) == 1:
            notes.append("one train shard only: modded-nanogpt stops when it has been read once (StopIteration)")
        if not done.tokens("val"):
            notes.append(f"there is no val shard, which llm.c asks for with -j; to get one: {for_validation(done, 0)}")
        return notes

    def next_lines(self, done: FinishedSet) -> list[str]:
        if not done.tokens("train"):
            return again(done, f"--shard-tokens {max(1, done.tokens('val') // 10)}")
        if not done.tokens("val"):
            return again(done, for_validation(done, 0))
        train, val = (
            f"{shell_word(done.folder)}/'{done.of(split)[0].path.rpartition('_')[0]}_*.bin'"
            for split in ("train", "val")
        )
        if done.layout.token_bytes == 2:
            return ["next: in an llm.c checkout:", f"  ./train_gpt2cu -i {train} -j {val}"]
        return [
            "next: in an llm.c checkout:",
            f"  python train_llama3.py --input_bin {train} --input_val_bin {val}",
            "tokens are uint32, as Llama 3's: train_gpt2cu reads uint16 only",
        ]

    def stored_shards(self, folder: Path, *, known: Layout | None) -> list[StoredShard]:
        return [shard for path, split in numbered_files(folder, ".bin") if (shard := _stored(path, split)) is not None]


def _stored(path: Path, split: str) -> RawShard | None:
    """None: it is another format's file."""
    with open_regular(path) as file:
        start = file.read(12)
    if len(start) < 12:
        return None
    magic, version, tokens = struct.unpack("<3i", start)
    widths = [width for width, kind in _KINDS.items() if kind == (magic, version)]
    if not widths:
        return None
    if path.stat().st_size != _HEADER_BYTES + tokens * widths[0]:
        raise unreadable(path, f": its header says {tokens:,} tokens, and its size another number")
    return RawShard(path=path, split=split, dtype=f"<u{widths[0]}", extents=((_HEADER_BYTES, tokens),))
