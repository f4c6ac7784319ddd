"""provenance-N.parquet, written and read (docs/formats.md)."""

from __future__ import annotations

import json
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

from oomguard.preparation.engines.allocators import settle_allocators

settle_allocators()

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402 - its memory pool is chosen when it is imported
import pyarrow.parquet  # noqa: E402

from oomguard.errors import Changed  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from oomguard.preparation.writing.document_ends import Spool

SPLITS = ("train", "val")
GROUP_ROWS = 1 << 16  # of a row group: what is held in memory at once
ROW = np.dtype(
    [("document", "<i8"), ("origin", "<i8"), ("first", "<i8"), ("tokens", "<i4"), ("source", "<i4"), ("split", "u1")]
)


def file_name(index: int) -> str:
    """The name of a file with provenance."""
    return f"provenance-{index:05d}.parquet"


def rows_by_source(rows: Any, names: list[str]) -> Iterator[tuple[str, Any]]:
    """Rows of one source after another."""
    cuts = [0, *(np.flatnonzero(np.diff(rows["source"])) + 1).tolist(), len(rows)]
    for start, stop in pairwise(cuts):
        if stop > start:
            yield names[int(rows["source"][start])], rows[start:stop]


def parquet_of(spool: Spool, names: Spool) -> Iterator[bytes]:
    """The file, row group by row group."""
    text, kept = pa.dictionary(pa.int32(), pa.string()), _Kept()
    schema = pa.schema(
        [
            ("document", pa.int64()), ("source", text), ("offset", pa.int64()), ("split", text),
            ("first_token", pa.int64()), ("tokens", pa.int32()),
        ],
        metadata={"oomguard": "oomguard.provenance/1"},
    )  # fmt: skip
    numbers = ("document", "offset", "first_token", "tokens")
    writer = pyarrow.parquet.ParquetWriter(
        kept,
        schema,
        compression="zstd",
        use_dictionary=["source", "split"],
        column_encoding=dict.fromkeys(numbers, "DELTA_BINARY_PACKED"),
        data_page_version="2.0",
        version="2.6",
    )
    known = _NamesInOrder(names)
    for data in spool.stretches(spool.size, GROUP_ROWS * ROW.itemsize):
        rows = np.frombuffer(data, ROW)
        first, last = int(rows["source"][0]), int(rows["source"][-1])
        own = known.between(first, last)
        columns = [
            pa.array(rows["document"]),
            pa.DictionaryArray.from_arrays(pa.array(rows["source"] - first), pa.array(own, pa.string())),
            pa.array(rows["origin"]),
            pa.DictionaryArray.from_arrays(pa.array(rows["split"].astype(np.int32)), pa.array(SPLITS, pa.string())),
            pa.array(rows["first"]),
            pa.array(rows["tokens"]),
        ]
        writer.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=GROUP_ROWS)
        yield from kept.take()
    writer.close()
    yield from kept.take()


class _NamesInOrder:
    """The names of the open file's sources; those that lie behind are not kept."""

    def __init__(self, spool: Spool) -> None:
        self._lines = _lines(spool)
        self._first = 0
        self._held: list[str] = []

    def between(self, first: int, last: int) -> list[str]:
        """The names from number `first` to `last`, of which each is asked for in order."""
        self._held, self._first = self._held[first - self._first :], first
        wanted = last - first + 1
        self._held += map(json.loads, islice(self._lines, max(0, wanted - len(self._held))))
        return self._held[:wanted]


def _lines(spool: Spool) -> Iterator[bytes]:
    rest = b""
    for data in spool.stretches(spool.size):
        *lines, rest = (rest + data).split(b"\n")
        yield from lines


class _Kept:
    """What ParquetWriter writes, as bytes to take."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._at = 0

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        self._at += len(self._parts[-1])
        return len(self._parts[-1])

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        """Nothing waits."""

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """Nothing is open."""

    def take(self) -> list[bytes]:
        parts, self._parts = self._parts, []
        return parts


def read_rows(path: Path) -> Iterator[tuple[Any, list[str]]]:
    """Give the rows of a file, a row group at a time, and the names that they mean by `source`.

    Raises: Changed if it is not there, or is none.
    """
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                rows = np.zeros(len(table), ROW)
                for own, name in (("document",) * 2, ("origin", "offset"), ("first", "first_token"), ("tokens",) * 2):
                    rows[own] = table[name].to_numpy()
                source, split = (table[name].combine_chunks() for name in ("source", "split"))
                source, split = (
                    each.chunk(0) if isinstance(each, pa.ChunkedArray) else each for each in (source, split)
                )
                rows["source"] = source.indices.to_numpy()
                rows["split"] = np.array([SPLITS.index(name) for name in split.dictionary.to_pylist()])[split.indices]
                yield rows, source.dictionary.to_pylist()
    except FileNotFoundError as error:
        raise Changed(f"{path} is not there, so nothing can be added to it", do="--restart starts over") from error
    except (pa.ArrowException, OSError, KeyError, ValueError, AttributeError) as error:
        raise Changed(f"{path} is not a provenance file: {error}", do="--restart starts over") from error
