"""A part of a corpus as files of the same kind, to try a run on: from all over it, where one can seek in it."""

from __future__ import annotations

import bz2
import gzip
import lzma
import math
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from oomguard.preparation.reading.byte_stream import ByteStream
from oomguard.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from oomguard.preparation.reading.source import Source

_SPANS = 16
_ROWS = 256
_LARGEST_GROUP = 64 * MIB  # bytes of a row group that are held to be written


def write_sample(sources: Sequence[Source], folder: Path, *, fraction: float) -> list[Path]:
    """Write about this fraction of each source, or of some of them where they are many, into `folder`.

    Raises: OSError where the disk does not take it; what reading raises.
    """
    chosen = sources
    if len(sources) * fraction < 1 or len(sources) > 4 * _SPANS:
        step = max(1, min(len(sources), int(1 / fraction)))
        chosen = sources[::step]
        fraction = min(1.0, fraction * sum(s.size or 0 for s in sources) / max(1, sum(s.size or 0 for s in chosen)))
    made = []
    for number, source in enumerate(chosen):
        ending = {"text": ".txt", "jsonl": ".jsonl", "parquet": ".parquet"}[source.kind]
        target = folder / f"{number:04d}{ending}{f'.{source.compression}' if source.compression else ''}"
        _write(source, target, fraction)
        made.append(target)
    return made


def _write(source: Source, target: Path, fraction: float) -> None:
    if source.kind == "parquet":
        _write_parquet(source, target, fraction)
    elif source.compression is not None:
        _write_compressed(source, target, fraction)
    else:
        with target.open("wb") as out, open(source.path, "rb") as file:  # noqa: PTH123 - a str from the list of sources
            for span in _spans(file, source.size or 0, fraction):
                out.write(span)


def _spans(file: BinaryIO, size: int, fraction: float) -> Iterator[bytes]:
    """Pieces at even distances, each from the begin of a line to the end of one, as far as there are lines."""
    length = max(64 * KIB, int(size * fraction / _SPANS))
    count = max(1, min(_SPANS, int(size * fraction / length)))
    for number in range(count):
        start = (size - length) * number // max(1, count - 1) if count > 1 else 0
        file.seek(max(0, start))
        if start > 0:
            file.readline(MIB)
        left = length
        while left > 0 and (got := file.read(min(MIB, left))):
            yield got
            left -= len(got)
        if not got.endswith(b"\n"):
            yield file.readline(8 * MIB)


def _write_parquet(source: Source, target: Path, fraction: float) -> None:
    with pq.ParquetFile(source.path, pre_buffer=False, buffer_size=64 * KIB, page_checksum_verification=True) as file:
        if not file.num_row_groups:
            raise OSError(None, "the file has no rows")
        first = file.metadata.row_group(0)
        wanted = max(1, int(file.metadata.num_rows * fraction))
        with pq.ParquetWriter(target, file.schema_arrow, compression=first.column(0).compression) as writer:
            held: list[pa.RecordBatch] = []
            for batch in file.iter_batches(batch_size=_ROWS, row_groups=_some_groups(file, fraction)):
                held.append(batch[: min(wanted, batch.num_rows)])
                wanted -= batch.num_rows
                # Row groups as long as the file's own, since pages and dictionaries take their size from them.
                full = sum(one.num_rows for one in held) >= first.num_rows
                if wanted <= 0 or full or sum(one.nbytes for one in held) > _LARGEST_GROUP:
                    held = _write_group(writer, held, first.num_rows)
                if wanted <= 0:
                    break
            while held:
                held = _write_group(writer, held, first.num_rows)


def _write_group(writer: pq.ParquetWriter, held: list[pa.RecordBatch], rows: int) -> list[pa.RecordBatch]:
    """Write a row group, and give what is left. In one chunk: of several, the writer makes other pages."""
    table = pa.Table.from_batches(held).combine_chunks()
    writer.write_table(table[:rows])
    left: list[pa.RecordBatch] = table[rows:].to_batches()
    return left


def _some_groups(file: pq.ParquetFile, fraction: float) -> list[int]:
    """Row groups at even distances, one more than the fraction needs; all of them where they are few."""
    groups = int(file.num_row_groups)
    count = min(groups, max(1, math.ceil(groups * fraction)) + 1)
    return sorted({number * groups // count for number in range(count)})


def _write_compressed(source: Source, target: Path, fraction: float) -> None:
    """The beginning, up to this fraction of the compressed bytes, ended at a line."""
    with ByteStream(source, reserve=lambda *_: None) as stream, _compressor(target, source.compression or "") as out:
        until = (source.size or 0) * fraction
        last = b""
        while stream.compressed_position() <= until and (got := stream.read(256 * KIB)):
            out.write(last)
            last = got
        cut = last.rfind(b"\n") + 1
        out.write(last[:cut] if cut else last)


def _compressor(target: Path, compression: str) -> BinaryIO:
    if compression == "gz":
        return gzip.open(target, "wb", compresslevel=1)  # type: ignore[return-value]  # writes bytes as one
    if compression == "xz":
        return lzma.open(target, "wb", preset=0)  # type: ignore[return-value]  # writes bytes as one
    if compression == "bz2":
        return bz2.open(target, "wb", compresslevel=1)  # type: ignore[return-value]  # writes bytes as one
    return pa.CompressedOutputStream(str(target), "zstd")  # type: ignore[no-any-return]  # Arrow has no types
