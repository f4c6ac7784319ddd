"""A part of a corpus as files of the same kind, to try a run on: from all over it, where one can seek in it.

Parts are cut where characters, lines and documents end, and are of the size that was asked, but for a line or row that
is longer than that.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
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


def write_sample(sources: Sequence[Source], folder: Path, *, fraction: float) -> list[tuple[Path, Source]]:
    """Write about this fraction of each source, or of some of them where they are many, into `folder`.

    Gives each file with the source that it is of. Raises: OSError where the disk does not take it; what reading raises.
    """
    chosen = list(sources)
    if len(sources) * fraction < 1 or len(sources) > 4 * _SPANS:
        step = max(1, min(len(sources), int(1 / fraction)))
        largest = max(chosen, key=lambda source: source.size or 0)  # which takes the most memory
        chosen = [source for source in chosen[step // 2 :: step] if source is not largest] + [largest]
        everything = sum(source.size or 0 for source in sources)
        fraction = min(1.0, fraction * everything / max(1, sum(source.size or 0 for source in chosen)))
    made = []
    for number, source in enumerate(chosen):
        ending = {"text": ".txt", "jsonl": ".jsonl", "parquet": ".parquet"}[source.kind]
        target = folder / f"{number:04d}{ending}{f'.{source.compression}' if source.compression else ''}"
        _write(source, target, fraction)
        made.append((target, source))
    return made


def _write(source: Source, target: Path, fraction: float) -> None:
    if source.kind == "parquet":
        _write_parquet(source, target, fraction)
    elif source.compression is not None:
        _write_compressed(source, target, fraction)
    else:
        with target.open("wb") as out, os.fdopen(source.open_here(), "rb") as file:
            spans = _line_spans if source.kind == "jsonl" else _text_spans
            for span in spans(file, source.size or 0, int((source.size or 0) * fraction)):
                out.write(span)


def _starts(size: int, wanted: int) -> list[tuple[int, int]]:
    """Places at even distances, and how long each span is."""
    if wanted >= size:
        return [(0, size)]
    count = max(1, min(_SPANS, wanted // (64 * KIB)))
    length = max(1, wanted // count)
    return [((size - length) * number // max(1, count - 1), length) for number in range(count)]


def _text_spans(file: BinaryIO, size: int, wanted: int) -> Iterator[bytes]:
    """Spans of text, each from the begin of a character to the end of one."""
    for start, length in _starts(size, wanted):
        file.seek(start)
        data = file.read(length)
        begin = 0
        while start and begin < min(4, len(data)) and data[begin] & 0xC0 == 0x80:
            begin += 1
        yield data[begin : _end_of_characters(data)]


def _end_of_characters(data: bytes) -> int:
    """Where the last character ends that is whole. Of bytes that are no UTF-8, all are taken."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            wants = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2
            return len(data) if wants <= back else len(data) - back
        if byte < 0x80:
            break
    return len(data)


def _line_spans(file: BinaryIO, size: int, wanted: int) -> Iterator[bytes]:
    """Whole lines. A line that is longer than its span makes the others fewer, or none."""
    left, behind = wanted, 0
    for start, length in _starts(size, wanted):
        if left <= 0:
            return
        file.seek(max(start, behind))
        if start > behind:
            _skip_line(file)
        given = 0
        while given < min(length, left):
            line = file.readline()
            if not line:
                break
            if given and given + len(line) > 2 * length:
                break
            yield line if line.endswith(b"\n") else line + b"\n"
            given += len(line)
        behind = file.tell()
        left -= given
    if left == wanted:  # all places were behind the begin of the last line
        file.seek(0)
        yield file.readline()


def _skip_line(file: BinaryIO) -> None:
    while (got := file.readline(MIB)) and not got.endswith(b"\n"):
        pass


def _write_parquet(source: Source, target: Path, fraction: float) -> None:
    with pq.ParquetFile(source.path, pre_buffer=False, buffer_size=64 * KIB, page_checksum_verification=True) as file:
        if not file.num_row_groups:
            raise OSError(None, "the file has no rows")
        first = file.metadata.row_group(0)
        wanted = max(1, int(file.metadata.num_rows * fraction))
        with pq.ParquetWriter(target, file.schema_arrow, compression=first.column(0).compression) as writer:
            held: list[pa.RecordBatch] = []
            for batch in _some_rows(file, wanted):
                held.append(batch)
                # Row groups as long as the file's own, since pages and dictionaries take their size from them.
                full = sum(one.num_rows for one in held) >= first.num_rows
                if full or sum(one.nbytes for one in held) > _LARGEST_GROUP:
                    held = _write_group(writer, held, first.num_rows)
            while held:
                held = _write_group(writer, held, first.num_rows)


def _some_rows(file: pq.ParquetFile, wanted: int) -> Iterator[pa.RecordBatch]:
    """Give so many rows from all over some row groups: of each stretch of rows its first part."""
    groups = int(file.num_row_groups)
    count = min(groups, _SPANS)
    chosen = sorted({number * groups // count for number in range(count)})
    there = sum(file.metadata.row_group(group).num_rows for group in chosen)
    chosen = chosen if there >= wanted else list(range(groups))
    there = there if there >= wanted else file.metadata.num_rows
    seen = given = 0
    for batch in file.iter_batches(batch_size=_ROWS, row_groups=chosen):
        seen += batch.num_rows
        more = min(batch.num_rows, wanted * seen // there - given)
        if more > 0:
            given += more
            yield batch[:more]


def _write_group(writer: pq.ParquetWriter, held: list[pa.RecordBatch], rows: int) -> list[pa.RecordBatch]:
    """Write a row group, and give what is left. In one chunk: of several, the writer makes other pages."""
    table = pa.Table.from_batches(held).combine_chunks()
    writer.write_table(table[:rows])
    left: list[pa.RecordBatch] = table[rows:].to_batches()
    return left


def _write_compressed(source: Source, target: Path, fraction: float) -> None:
    """The beginning, up to this fraction of the compressed bytes, ended at a line or a character."""
    with ByteStream(source, reserve=lambda *_: None) as stream, _compressor(target, source.compression or "") as out:
        until = (source.size or 0) * fraction
        last, is_cut = b"", False
        while got := stream.read(256 * KIB):
            cut = last.rfind(b"\n") + 1
            if stream.compressed_position() > until and (cut or source.kind == "text"):
                is_cut = True
                break
            out.write(last)
            last = got
        if is_cut:
            last = last[: last.rfind(b"\n") + 1 or _end_of_characters(last)]
        out.write(last)


def _compressor(target: Path, compression: str) -> BinaryIO:
    if compression == "gz":
        return gzip.open(target, "wb", compresslevel=1)  # type: ignore[return-value]  # writes bytes as one
    if compression == "xz":
        return lzma.open(target, "wb", preset=0)  # type: ignore[return-value]  # writes bytes as one
    if compression == "bz2":
        return bz2.open(target, "wb", compresslevel=1)  # type: ignore[return-value]  # writes bytes as one
    return pa.CompressedOutputStream(str(target), "zstd")  # type: ignore[no-any-return]  # Arrow has no types
