"""A folder of Hugging Face `datasets`, as save_to_disk() leaves it: Arrow streams of one column, input_ids.

Source: Arrow's IPC format (format/Message.fbs, Schema.fbs), as pyarrow writes it; datasets/arrow_dataset.py
load_from_disk() reads state.json and dataset_info.json. The messages are written here by hand: pyarrow would take
more memory than all else in the process, and of a batch only the lengths change.
"""

from __future__ import annotations

import json
import mmap
import os
import re
import struct
from array import array
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.kernel.plain_files import open_input
from oomguard.preparation.writing.formats.base import (
    OutputFormat,
    again,
    block_ends,
    no_train_file,
    python_line,
    quoted,
    tail_note,
)
from oomguard.preparation.writing.formats.stored import split_folders, unreadable
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from oomguard.preparation.writing.formats.base import FinishedSet, FinishedShard, Layout, OpenShard
    from oomguard.preparation.writing.formats.stored import Ends, StoredShard, Tokens

_ROWS = 1000  # in a record batch, as datasets' ArrowWriter has it
_MOST_VALUES = 2**31 - 1  # in a record batch: offsets are int32
_CONTINUES = 0xFFFFFFFF
_END = struct.pack("<II", _CONTINUES, 0)
# The flatbuffer of the schema {input_ids: list<item: uintN>}, all but N, its last four bytes.
_SCHEMA = bytes.fromhex(
    "1000000000000a000c000600050008000a000000000104000c000000080008000000040008000000040000000100000004000000"
    "ccffffff0000010c140000002400000004000000010000002c00000009000000696e7075745f6964730000000400040004000000"
    "100014000800060007000c00000010001000000000000102100000001c0000000400000000000000040000006974656d0000"
    "06000800040006000000"
)
# The flatbuffer of a record batch, in the parts between which its lengths stand.
_BATCH = tuple(
    bytes.fromhex(part)
    for part in (
        "14000000000000000c0016000600050008000c000c0000000003040018000000",
        "00000a0018000c00040008000a0000005c00000010000000",
        "0000000004000000",
        "0000000002000000",
    )
)
_COLUMN = "input_ids"


class Arrow(OutputFormat):
    """A folder a split; a document a row, or with --block-size a block a row."""

    name = "arrow"
    help = "datasets folders of input_ids for trl, axolotl, transformers"
    owned = re.compile(r"(?:train|val)/(?:data-[0-9]{5,}\.arrow|state\.json|dataset_info\.json)")
    folders = True
    keeps_documents = True
    is_built = True
    takes_blocks = True

    def file_name(self, layout: Layout, split: str, index: int) -> str:
        return f"{split}/data-{index:05d}.arrow"

    def content(self, layout: Layout, shard: OpenShard) -> Iterator[bytes]:
        yield _message(_SCHEMA + struct.pack("<i", 8 * layout.token_bytes))
        first = 0
        rows = block_ends(shard.tokens, layout.block_size) if layout.block_size else shard.ends()
        for ends in _batches(rows):
            yield from _batch(layout, shard, first, ends)
            first = ends[-1]
        yield _END

    def split_files(self, layout: Layout, split: str, shards: Sequence[FinishedShard]) -> dict[str, bytes]:
        value = {"dtype": f"uint{8 * layout.token_bytes}", "_type": "Value"}
        info = {
            "citation": "",
            "description": "",
            "features": {"input_ids": {"feature": value, "_type": "Sequence"}},  # which old and new versions read
            "homepage": "",
            "license": "",
        }
        state: dict[str, Any] = {
            "_data_files": [{"filename": shard.path.rpartition("/")[2]} for shard in shards],
            "_fingerprint": f"{sum(shard.tokens for shard in shards):016x}",
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": split,
        }
        return {
            f"{split}/{name}": json.dumps(content, indent=2, sort_keys=True).encode()
            for name, content in (("dataset_info.json", info), ("state.json", state))
        }

    def notes(self, done: FinishedSet) -> list[str]:
        if not done.tokens("train"):
            return [no_train_file(done, "train folder")]
        return tail_note(done, "kept as a row of its own")

    def next_lines(self, done: FinishedSet) -> list[str]:
        if not done.tokens("train"):
            return again(done, "--val-fraction 0")
        return [
            "next: what a trainer takes as its train_dataset:",
            python_line(f"import datasets; print(datasets.load_from_disk({quoted(done.folder + '/train')}))"),
        ]

    def stored_shards(self, folder: Path, *, known: Layout | None) -> list[StoredShard]:

        return stored_arrow(folder, blocks=known.block_size is not None if known and known.shard_tokens else None)


def _message(flatbuffer: bytes) -> bytes:
    return struct.pack("<II", _CONTINUES, len(flatbuffer)) + flatbuffer


def _batches(rows: Iterator[Sequence[int]]) -> Iterator[list[int]]:
    """Group rows, given by their ends, so that a batch depends on the rows alone."""
    batch: list[int] = []
    first = before = 0
    for stretch in rows:
        for end in stretch:
            if end - before > _MOST_VALUES:
                raise BadInput(
                    f"a document of {end - before:,} tokens: a row of Arrow's lists holds up to {_MOST_VALUES:,}",
                    do="--block-size 2048, or --format nanogpt",
                )
            if len(batch) == _ROWS or end - first > _MOST_VALUES:
                yield batch
                batch, first = [], before
            batch.append(end)
            before = end
    if batch:
        yield batch


def _batch(layout: Layout, shard: OpenShard, first: int, ends: list[int]) -> Iterator[bytes]:
    width, values = layout.token_bytes, ends[-1] - first
    offsets = array("i", [0, *(end - first for end in ends)]).tobytes()
    at, size = _padded(len(offsets)), values * width
    yield _message(
        _BATCH[0]
        + struct.pack("<q", at + _padded(size))
        + _BATCH[1]
        + struct.pack("<q", len(ends))
        + _BATCH[2]
        + struct.pack("<8q", 0, 0, 0, len(offsets), at, 0, at, size)  # validity of rows, offsets, validity, values
        + _BATCH[3]
        + struct.pack("<4q", len(ends), 0, values, 0)
    )
    yield offsets.ljust(at, b"\0")
    yield from shard.data(first, ends[-1])
    yield bytes(_padded(size) - size)


def _padded(size: int) -> int:
    return -(-size // 8) * 8


# Arrow files of a `datasets` folder, read with pyarrow; also those that others wrote, with other integers.


@dataclass(frozen=True)
class ArrowShard:
    """A stream, or a file, of lists of integers. Each row is a document, unless all are of one length (blocks)."""

    path: Path
    split: str
    blocks: bool | None = None  # None: not known

    @cached_property
    def _facts(self) -> tuple[str, int, bool]:
        import numpy as np

        dtype, tokens, first, rows, odd = "<u2", 0, 0, 0, 0
        for values, ends in self._batches():
            dtype = values.dtype.str
            tokens += len(values)
            lengths = np.diff(ends, prepend=0)
            if not rows and len(lengths):
                first = int(lengths[0])
            rows += len(lengths)
            odd += int((lengths != first).sum())
        return dtype, tokens, odd <= 1 and rows > 2  # all of one length but the last: blocks

    @property
    def dtype(self) -> str:
        """Of the values."""
        return self._facts[0]

    @property
    def tokens(self) -> int:
        """How many there are."""
        return self._facts[1]

    @property
    def has_ends(self) -> bool:
        """Whether rows are documents."""
        return not (self._facts[2] if self.blocks is None else self.blocks)

    def pieces(self) -> Iterator[tuple[Tokens, Ends]]:
        """Raises: BadInput if it cannot be read."""
        import numpy as np

        keeps = self.has_ends
        for values, all_ends in self._batches():
            step = MIB // values.dtype.itemsize
            for start in range(0, max(1, len(values)), step):
                stop = min(start + step, len(values))
                after = np.searchsorted(all_ends, start, side="right") if start else 0
                ends = all_ends[after : np.searchsorted(all_ends, stop, side="right")] - start
                yield values[start:stop], ends if keeps else ends[:0]

    def _batches(self) -> Iterator[tuple[Tokens, Ends]]:
        import numpy as np
        import pyarrow as pa

        try:
            with os.fdopen(open_input(str(self.path)), "rb") as file:
                # Mapped, since a batch may be as large as the file; what was read is let go with each of them.
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            with pa.BufferReader(pa.py_buffer(mapped)) as source:
                for batch in _open(source):
                    mapped.madvise(mmap.MADV_DONTNEED)
                    column: Any = batch.column(_COLUMN)
                    if column.null_count or not pa.types.is_integer(column.type.value_type):
                        raise unreadable(self.path, f": {_COLUMN} is not lists of integers", "load it with datasets")
                    offsets = np.asarray(column.offsets).astype(np.int64)
                    values = column.values.slice(offsets[0], offsets[-1] - offsets[0]).to_numpy()
                    yield values, offsets[1:] - offsets[0]
        except (pa.ArrowInvalid, KeyError, OSError, ValueError) as error:  # ValueError: an empty file
            raise unreadable(self.path, f" cannot be read: {error}") from error


def _open(source: Any) -> Iterator[Any]:
    import pyarrow as pa

    try:
        yield from pa.ipc.open_stream(source)
    except pa.ArrowInvalid:
        source.seek(0)
        opened = pa.ipc.open_file(source)
        yield from (opened.get_batch(number) for number in range(opened.num_record_batches))


def stored_arrow(folder: Path, *, blocks: bool | None) -> list[StoredShard]:
    """The shards of a folder that save_to_disk() left, or of one for each split."""
    shards: list[StoredShard] = []
    for parent, split in split_folders(folder):
        state = parent / "state.json"
        if state.is_file():
            names = [item["filename"] for item in json.loads(state.read_bytes())["_data_files"]]
        else:
            names = sorted(path.name for path in parent.glob("*.arrow"))
        shards += [ArrowShard(parent / name, split, blocks) for name in names]
    return shards
