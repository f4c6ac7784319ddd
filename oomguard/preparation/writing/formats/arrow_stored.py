"""Arrow files of a `datasets` folder, read with pyarrow; also those that others wrote, with other integers."""

from __future__ import annotations

import json
import mmap
import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from oomguard.kernel.plain_files import open_input
from oomguard.preparation.writing.formats.stored import split_folders, unreadable
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from oomguard.preparation.writing.formats.stored import Ends, StoredShard, Tokens

_COLUMN = "input_ids"


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
