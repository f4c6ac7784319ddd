"""OLMo-core's and dolma's shards: tokens in a .npy without NumPy's header, and a .csv.gz of documents.

Source: dolma's tokenizer, MemmapWriter: rows start,end,id,src,loc with CR LF, in tokens; olmo_core/data/utils.py
iter_document_indices() reads the first two.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

from oomguard.kernel.plain_files import open_regular
from oomguard.preparation.writing.formats.base import OutputFormat, again, no_train_file, python_line, quoted
from oomguard.preparation.writing.formats.stored import numbered_files, raw_shard, unreadable
from oomguard.text import shell_word

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from oomguard.preparation.writing.formats.base import FinishedSet, Layout, OpenShard
    from oomguard.preparation.writing.formats.stored import StoredShard

_STRETCH = 1 << 14
_GZIP = 16 + zlib.MAX_WBITS


class Olmo(OutputFormat):
    """Numbered files."""

    name = "olmo"
    help = ".npy without header and .csv.gz for OLMo-core, dolma"
    owned = re.compile(r"[^/\0]+_(?:train|val)_[0-9]{6,}\.(?:npy|csv\.gz)")
    default_name = "tokens"
    keeps_documents = True

    def file_name(self, layout: Layout, split: str, index: int) -> str:
        return f"{layout.name}_{split}_{index:06d}.npy"

    def index_files(self, layout: Layout, shard: OpenShard) -> Iterator[tuple[str, Iterator[bytes]]]:
        stem = self.file_name(layout, shard.split, shard.index).removesuffix(".npy")
        yield f"{stem}.csv.gz", _rows(shard, stem)

    def notes(self, done: FinishedSet) -> list[str]:
        if not done.tokens("train"):
            return [no_train_file(done, "train file")]
        return ["NumpyFSLDataset leaves out what comes after the last whole sequence of each file"]

    def next_lines(self, done: FinishedSet) -> list[str]:
        if not done.tokens("train"):
            return again(done, "--val-fraction 0")
        first = f"{done.folder}/{done.of('train')[0].path}"
        width = 8 * done.layout.token_bytes
        return [
            "next: sequences of the first file, as OLMo-core reads them (in a config: NumpyFSLDatasetConfig):",
            python_line(
                "import numpy as np",
                "from olmo_core.data import NumpyFSLDataset as D",
                f"d = D({quoted(first)}, sequence_length=1024, pad_token_id={done.eot}, eos_token_id={done.eot}, "
                f"vocab_size={done.vocabulary_size}, dtype=np.uint{width})",
                "print(len(d))",
            ),
        ]

    def stored_shards(self, folder: Path, *, known: Layout | None) -> list[StoredShard]:
        named = numbered_files(folder, ".npy")
        numbered = {path for path, _ in named}
        named += [(path, "train") for path in sorted(folder.glob("*.npy")) if path not in numbered]
        return [
            _stored(path, split, known.token_bytes if known else None) for path, split in named if not _has_header(path)
        ]


def _rows(shard: OpenShard, stem: str) -> Iterator[bytes]:
    """The documents, packed without a time, so that the same documents give the same bytes."""
    packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    number = start = 0
    for ends in shard.ends():
        lines = []
        for end in ends:
            lines.append(f"{start},{end},{stem}:{number},,{number + 1}\r\n")
            start, number = end, number + 1
        yield packer.compress("".join(lines).encode())
    yield packer.flush()


def _has_header(path: Path) -> bool:
    with open_regular(path) as file:
        return file.read(6) == b"\x93NUMPY"


def _stored(path: Path, split: str, token_bytes: int | None) -> StoredShard:
    index, size = path.with_suffix(".csv.gz"), path.stat().st_size
    if not index.is_file():
        if token_bytes is None:
            raise unreadable(path, " has no .csv.gz, and nothing says how wide its tokens are", "ls -l FILE")
        return raw_shard(path, split, f"<u{token_bytes}")
    last = 0
    for ends in _ends(index):
        last = ends[-1]
    width = size // last if last else token_bytes or 2
    if width not in (2, 4) or width * last != size:
        what = f" has {size:,} bytes, and its .csv.gz {last:,} tokens"
        raise unreadable(path, what, f"ls -l FILE {shell_word(str(index))}")
    return raw_shard(path, split, f"<u{width}", lambda: _ends(index))


def _ends(index: Path) -> Iterator[Sequence[int]]:
    """Raises: BadInput if a row is none, or does not begin where the one before it ends."""
    import gzip

    ends: list[int] = []
    at = 0
    with gzip.open(index, "rt", encoding="utf-8", newline="") as rows:
        for number, row in enumerate(rows, 1):
            start, _, rest = row.partition(",")
            end = rest.partition(",")[0].strip()
            if not start.isdecimal() or not end.isdecimal() or int(start) != at or int(end) < at:
                raise unreadable(index, f":{number}: not a document that begins at token {at:,}", "zcat FILE")
            at = int(end)
            ends.append(at)
            if len(ends) == _STRETCH:
                yield ends
                ends = []
    if ends:
        yield ends
