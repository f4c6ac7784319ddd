"""Stretches of a corpus that are read to tell the whole from, each of which stands for an equal part of it.

A window is at a place in the bytes of the input that is drawn at random from its part, so that a long document is met
as often as it is long, and what its tokens are for each byte is an unbiased guess of the part's. Of a line or row that
sticks out of the window the part that is inside counts.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

from oomguard.kernel.plain_files import open_regular
from oomguard.preparation.reading.byte_stream import ByteStream
from oomguard.preparation.reading.sample_parts import (
    LONGEST_LINE,
    WINDOWS,
    Look,
    Window,
    as_utf8,
    from_word,
    of_text,
    some_of,
)
from oomguard.preparation.reading.sample_places import line_documents, plain_windows
from oomguard.preparation.reading.sample_records import needs_reader, read_pieces
from oomguard.preparation.reading.sample_rows import documents_in, remote_row_windows, row_ranges, row_windows
from oomguard.preparation.reading.source import SourceList
from oomguard.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oomguard.preparation.reading.source import Source


_WHOLE = 24 * MIB  # of text: so much is read whole
_WHOLE_FILES = 20_000  # each is a window of its own then
# Decompressed bytes that take about half a second.
_STREAMED = {"gz": 128 * MIB, "zst": 256 * MIB, "xz": 48 * MIB, "bz2": 24 * MIB}
_STREAM_WINDOW = 32 * KIB
_INFLATES = 3
_GZIP_END = 4  # bytes, the size of what was compressed


def read_whole(sources: Sequence[Source], *, separator: bytes, strict: bool) -> list[Window]:
    """Give all of a small corpus; nothing, if it is not small."""
    look = Look(separator=separator, strict=strict)
    is_large = len(sources) > _WHOLE_FILES or sum(source.size or 0 for source in sources) > _WHOLE
    if is_large or any(source.is_remote for source in sources):
        return []
    windows: list[Window] = []
    left = _WHOLE
    for source in sources:
        documents, size = _all_documents(source, look, left)
        if size > left:
            return []
        left -= size
        if size:
            text = sum(map(len, documents)) if source.kind != "text" else size
            divided = documents if source.kind != "text" or look.separator else ()
            windows.append(
                Window(stands_for=size, size=size, texts=documents, ends=len(documents), text_size=text,
                       documents=divided)
            )  # fmt: skip
    return windows


def _all_documents(source: Source, look: Look, most: int) -> tuple[list[bytes], int]:
    """Give the documents, and the bytes that they were in; where these are more than `most`, no document."""
    if needs_reader(source):
        pieces, total = read_pieces(source, separator=look.separator, most=most)
        found = [document for documents, _ in pieces for document in documents]
        return found, max(total, sum(size for _, size in pieces))
    if source.kind == "parquet":
        ranges = row_ranges(source)
        if sum(one["size"] for one in ranges) > most:
            return [], most + 1
        found = [document for one in ranges for document in documents_in(source, look, one)]
        return found, sum(map(len, found)) + len(found)
    return _all_of_stream(source, look, most)


def _all_of_stream(source: Source, look: Look, most: int) -> tuple[list[bytes], int]:
    with ByteStream(source, reserve=lambda *_: None) as stream:
        parts, size = [], 0
        while size <= most and (got := stream.read(MIB)):
            parts.append(got)
            size += len(got)
    if size > most:
        return [], size
    data = b"".join(parts)
    if source.kind == "jsonl":
        return line_documents(source, look, data, at=0), size
    data = as_utf8(source, look, data, at=0)
    if not look.separator:
        return [data] if data else [], size
    documents = data.split(look.separator)
    return documents if documents[-1] or not data else documents[:-1], size


def sample_windows(sources: Sequence[Source], *, separator: bytes, strict: bool) -> list[Window]:
    """Draw windows from all over the sources, those of each kind in the order of their places."""
    look = Look(separator=separator, strict=strict)
    draw = random.Random(16)
    others = SourceList(source for source in sources if needs_reader(source))
    sources = SourceList(source for source in sources if not needs_reader(source)) if others else sources

    def plain(kind: str) -> SourceList:
        return SourceList(source for source in sources if source.compression is None and source.kind == kind)

    windows: list[Window] = [*_reader_windows(others, look)]
    windows += plain_windows(plain("text"), look, draw)
    windows += plain_windows(plain("jsonl"), look, draw)
    parquet = plain("parquet")
    windows += row_windows(SourceList(source for source in parquet if not source.is_remote), look, draw)
    windows += remote_row_windows([source for source in parquet if source.is_remote], look, draw)
    windows += _stream_windows(SourceList(source for source in sources if source.compression is not None), look)
    undivided = 0 if look.separator else sum(source.kind == "text" and bool(source.size) for source in sources)
    if undivided:  # their ends are in no window
        windows.append(Window(stands_for=0, size=0, texts=(), ends=undivided, text_size=0))
    return windows


def _stream_windows(sources: Sequence[Source], look: Look) -> Iterator[Window]:
    """As much of compressed files as half a second allows, from their beginning."""
    chosen, scale = some_of(sources)
    packed = sum(source.size or 0 for source in chosen)
    for number, source in enumerate(chosen):
        most = max(MIB, _STREAMED[source.compression or "bz2"] * (source.size or 0) // max(1, packed))
        most = 2 * MIB if source.is_remote else most
        windows: list[Window] = []
        with ByteStream(source, reserve=lambda *_: None) as stream:
            read = before = 0
            step = max(_STREAM_WINDOW, min(most, _INFLATES * packed) // WINDOWS)
            for block, at in _blocks(stream, most, step, lines=source.kind == "jsonl"):
                windows.append(_stream_window(source, look, block, at))
                read = at + len(block)
                place = min(stream.compressed_position(), source.size or 0)
                windows[-1].packed, before = place - before, place
            done = min(stream.compressed_position(), source.size or 0)
            is_all = read < most and not stream.read(1)
        seen = 1.0 if is_all else max(done, 1) / max(1, source.size or 1)
        told = 1.0 if is_all else _told_size(source, read / seen) * seen / max(1, read)
        for window in windows:
            window.told = told if told >= seen else 1.0  # less than was read: there are more members
            window.stands_for *= scale / seen
            window.packed *= scale / seen
            window.unseen = 1 - seen
            window.cluster = number if scale > 1 else -1
            if window.size:
                yield window


def _told_size(source: Source, about: float) -> float:
    """The size of the text by the last bytes of a gzip file, nearest to `about`: they have it modulo 4 GiB.

    It is that of its last member, and so of all of it only where it has one; of other files, `about`.
    """
    if source.compression != "gz" or source.is_remote or (source.size or 0) < _GZIP_END:
        return about
    with open_regular(source.path) as file:
        file.seek(-_GZIP_END, os.SEEK_END)
        told = int.from_bytes(file.read(_GZIP_END), "little")
    return float(told + max(0, round((about - told) / (1 << 32))) * (1 << 32))


def _reader_windows(sources: Sequence[Source], look: Look) -> Iterator[Window]:
    """What only their readers find: from the beginning of some files."""
    chosen, scale = some_of(sources)
    for number, source in enumerate(chosen):
        most = MIB if source.is_remote else max(MIB, _WHOLE // len(chosen))
        pieces, total = read_pieces(source, separator=look.separator, most=most)
        read = sum(size for _, size in pieces)
        seen = min(1.0, read / max(1, total))
        for documents, size in pieces:
            yield Window(
                stands_for=size * scale / seen, size=size, texts=documents, ends=len(documents),
                text_size=sum(map(len, documents)), documents=documents, cluster=number if scale > 1 else -1,
                unseen=1 - seen,
            )  # fmt: skip


def _blocks(stream: ByteStream, most: int, step: int, *, lines: bool) -> Iterator[tuple[bytes, int]]:
    """Give what is in a stream up to about `most` bytes, and where each block begins; of lines, whole ones."""
    parts: list[bytes] = []  # of a line that continues: joined once, as it may have a hundred million bytes
    size = at = 0
    while at + size < most or (lines and size):
        got = stream.read(step)
        cut = got.rfind(b"\n") + 1 if lines and got else len(got)
        if cut or not got:
            block = b"".join([*parts, got[:cut]])
            if block:
                yield block, at
            at += len(block)
            parts, size = [], 0
        parts.append(got[cut:])
        size += len(got) - cut
        if not got or size > LONGEST_LINE or at >= most:
            return


def _stream_window(source: Source, look: Look, block: bytes, at: int) -> Window:
    if source.kind == "jsonl":
        end = block.find(b"\n", min(_STREAM_WINDOW, len(block) - 1)) + 1 or len(block)
        documents = line_documents(source, look, block[:end], at=at)
        text = sum(map(len, documents))
        return Window(
            stands_for=len(block), size=end, texts=documents, ends=len(documents), text_size=text, documents=documents
        )
    data = block[:_STREAM_WINDOW]
    skipped = 0
    if at:
        data, skipped = from_word(data)
    data = as_utf8(source, look, data, at=at + skipped, cut=True)
    window = of_text(data, look)
    window.stands_for = len(block)
    return window
