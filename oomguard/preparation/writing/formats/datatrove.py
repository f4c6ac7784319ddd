"""datatrove's .ds files, for its DatatroveFolderDataset (and nanotron).

Source: datatrove/pipeline/tokens/tokenizer.py TokenizedFile: tokens, `.index` of uint64 document ends in tokens,
`.metadata` of three lines; datatrove/utils/dataset.py reads every file whose name ends in .ds.
"""

from __future__ import annotations

import math
import re
from array import array
from typing import TYPE_CHECKING

from oomguard.preparation.writing.formats.base import OutputFormat, again, no_train_file, python_line, quoted
from oomguard.preparation.writing.formats.stored import raw_shard, split_folders, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from oomguard.preparation.writing.formats.base import FinishedSet, Layout, OpenShard
    from oomguard.preparation.writing.formats.stored import Ends, StoredShard

_STRETCH = 1 << 16


class Datatrove(OutputFormat):
    """A folder a split, of numbered files."""

    name = "datatrove"
    help = ".ds folders for datatrove and nanotron"
    owned = re.compile(r"(?:train|val)/[0-9]{5,}_tokens\.ds(?:\.index|\.metadata)?")
    folders = True
    keeps_documents = True

    def file_name(self, layout: Layout, split: str, index: int) -> str:
        return f"{split}/{index:05d}_tokens.ds"

    def index_files(self, layout: Layout, shard: OpenShard) -> Iterator[tuple[str, Iterator[bytes]]]:
        name = self.file_name(layout, shard.split, shard.index)
        yield f"{name}.index", (array("Q", stretch).tobytes() for stretch in shard.ends())
        tokenizer = layout.tokenizer or f"Unknown Tokenizer|{layout.token_bytes}"  # as TokenizedFile has it
        lines = (f"{tokenizer}|{layout.token_bytes}", str(shard.tokens), _metric(shard.tokens))
        yield f"{name}.metadata", iter(["\n".join(lines).encode()])

    def notes(self, done: FinishedSet) -> list[str]:
        return [] if done.tokens("train") else [no_train_file(done, "train folder")]

    def next_lines(self, done: FinishedSet) -> list[str]:
        if not done.tokens("train"):
            return again(done, "--val-fraction 0")
        return [
            "next: windows of 2,048 tokens (and their targets), as nanotron reads them:",
            python_line(
                "from datatrove.utils.dataset import DatatroveFolderDataset as D",
                f"print(D({quoted(done.folder + '/train')}, 2048, token_size={done.layout.token_bytes})[0])",
            ),
        ]

    def stored_shards(self, folder: Path, *, known: Layout | None) -> list[StoredShard]:
        return [
            _stored(path, split, known.token_bytes if known else None)
            for parent, split in split_folders(folder)
            for path in sorted(parent.glob("*.ds"))
        ]


def _metric(value: int) -> str:
    """Three digits and a prefix, as humanize.metric(value, unit="T") writes them."""
    exponent = math.floor(math.log10(value)) if value else 0
    digits = max(0, 2 - exponent % 3)
    prefix = "kMGTPEZY"[exponent // 3 - 1] if exponent >= 3 else ""
    return f"{value / 10 ** (exponent // 3 * 3):.{digits}f} {prefix}T"


def _stored(path: Path, split: str, token_bytes: int | None) -> StoredShard:
    import numpy as np

    index, size = path.with_name(f"{path.name}.index"), path.stat().st_size
    if not index.is_file():
        if token_bytes is None:
            raise unreadable(path, " has no .index, which says how wide its tokens are", "ls FILE*")
        return raw_shard(path, split, f"<u{token_bytes}")
    documents = index.stat().st_size // 8

    def ends() -> Iterator[Ends]:
        for first in range(0, documents, _STRETCH):
            yield np.fromfile(index, "<u8", _STRETCH, offset=8 * first).astype(np.int64)

    last = int(np.fromfile(index, "<u8", 1, offset=8 * (documents - 1))[0]) if documents else 0
    width = size // last if last else token_bytes or 2
    if width not in (2, 4) or width * last != size:
        raise unreadable(path, f" has {size:,} bytes, and its index {last:,} tokens", "ls -l FILE*")
    return raw_shard(path, split, f"<u{width}", ends)
