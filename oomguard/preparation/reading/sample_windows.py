"""Stretches of a corpus that are read to tell the whole from, each of which stands for an equal part of it.

A window is at a place in the bytes of the input that is drawn at random from its part, so that a long document is met
as often as it is long, and what its tokens are for each byte is an unbiased guess of the part's. Of a line or row that
sticks out of the window the part that is inside counts.
"""

from __future__ import annotations

import random
from array import array
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.kernel.plain_files import open_regular
from oomguard.preparation.encoding.zeros import not_text
from oomguard.preparation.reading.byte_stream import ByteStream
from oomguard.preparation.reading.lines import BadLine, parse_lines
from oomguard.preparation.reading.sample_records import needs_reader, read_pieces
from oomguard.preparation.reading.source import SourceList
from oomguard.text import printable
from oomguard.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oomguard.preparation.reading.source import Source

_WHOLE = 24 * MIB  # of text: so much is read whole
_WHOLE_FILES = 20_000  # each is a window of its own then
_WINDOW = 16 * KIB
_WINDOWS = 512
_FEW = 32
_MOST_READ = 192 * MIB  # of lines that stick out of their windows
_PROBES = 8
_LONGEST_LINE = 256 * MIB
_REMOTE_WINDOWS, _MOST_REMOTE, _REMOTE_TEXT = 32, 8, MIB  # on servers: places, files, text of each
_MOST_FILES = 64  # of those that cannot be read at any place
# Decompressed bytes that take about half a second.
_STREAMED = {"gz": 128 * MIB, "zst": 256 * MIB, "xz": 48 * MIB, "bz2": 24 * MIB}
_STREAM_WINDOW = 32 * KIB
_INFLATES = 3
_RANGE = MIB  # of the rows of a Parquet file
_RANGES = 96
_SPANS = 8  # of a range


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a corpus is looked at."""

    separator: bytes
    strict: bool


@dataclass(slots=True, kw_only=True)
class Window:
    """A stretch that was read. Units: bytes of the files, or of what they decompress to."""

    stands_for: float
    size: float  # equal to `stands_for`: it is all of it, which may be nothing
    texts: Sequence[bytes]  # what is encoded, each for itself
    ends: float  # of documents; a part of one, where a part of it is inside
    text_size: float  # of its `size`, what is text
    documents: Sequence[bytes] = ()  # whole ones that begin in it; none: the text has no such division
    cluster: int = -1  # windows with the same number were drawn together; -1: it was drawn for itself
    unseen: float = 0.0  # of `stands_for`: how much is behind what could be read
    longest: int = 0  # bytes of the longest row of the pages that it is of


def read_whole(sources: Sequence[Source], look: Look) -> list[Window]:
    """Give all of a small corpus; nothing, if it is not small."""
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
        ranges = _row_ranges(source)
        if sum(one["size"] for one in ranges) > most:
            return [], most + 1
        found = [document for one in ranges for document in _documents_in(source, look, one)]
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
        return _line_documents(source, look, data, at=0), size
    data = _as_utf8(source, look, data, at=0)
    if not look.separator:
        return [data] if data else [], size
    documents = data.split(look.separator)
    return documents if documents[-1] or not data else documents[:-1], size


def sample_windows(sources: Sequence[Source], look: Look) -> list[Window]:
    """Draw windows from all over the sources, those of each kind in the order of their places."""
    draw = random.Random(16)
    others = SourceList(source for source in sources if needs_reader(source))
    sources = SourceList(source for source in sources if not needs_reader(source)) if others else sources

    def plain(kind: str) -> SourceList:
        return SourceList(source for source in sources if source.compression is None and source.kind == kind)

    windows: list[Window] = [*_reader_windows(others, look)]
    windows += _plain_windows(plain("text"), look, draw)
    windows += _plain_windows(plain("jsonl"), look, draw)
    parquet = plain("parquet")
    windows += _row_windows(SourceList(source for source in parquet if not source.is_remote), look, draw)
    windows += _remote_row_windows([source for source in parquet if source.is_remote], look, draw)
    windows += _stream_windows(SourceList(source for source in sources if source.compression is not None), look)
    undivided = 0 if look.separator else sum(source.kind == "text" and bool(source.size) for source in sources)
    if undivided:  # their ends are in no window
        windows.append(Window(stands_for=0, size=0, texts=(), ends=undivided, text_size=0))
    return windows


def _plain_windows(sources: Sequence[Source], look: Look, draw: random.Random) -> Iterator[Window]:
    total = sum(source.size or 0 for source in sources)
    if not total:
        return
    most = _REMOTE_WINDOWS if any(source.is_remote for source in sources) else _WINDOWS
    count = max(1, min(most, total // _WINDOW))
    lines = sources[0].kind == "jsonl"
    if lines:
        probe = _Lines(look)
        for source, start, end in _places(sources, total, _PROBES, draw):
            probe.window(source, start, end)
        count = max(min(_FEW, most), min(count, _MOST_READ * _PROBES // max(1, probe.bytes_read)))
    reader = _Lines(look)
    for source, start, end in _places(sources, total, count, draw):
        made = reader.window(source, start, end) if lines else _text_window(source, look, start, end)
        if made.size:
            made.stands_for = total / count
            yield made


def _places(
    sources: Sequence[Source], total: int, count: int, draw: random.Random
) -> Iterator[tuple[Source, int, int]]:
    """Give `count` places, one in each equal part of the bytes of all sources; a small file is taken whole."""
    begins = array("Q", accumulate((source.size or 0 for source in sources), initial=0))
    number = 0
    for part in range(count):
        place = min(total - 1, int((part + draw.random()) * total / count))
        while begins[number + 1] <= place:
            number += 1
        size = sources[number].size or 0
        if size <= 2 * _WINDOW:
            yield sources[number], 0, size
        else:
            start = (place - begins[number]) * (size - _WINDOW) // size
            yield sources[number], start, start + _WINDOW


def _text_window(source: Source, look: Look, start: int, end: int) -> Window:
    with _open(source) as file:
        file.seek(start)
        data = file.read(end - start)
    skipped = 0
    if start:
        data, skipped = _from_word(data)
    data = _as_utf8(source, look, data, at=start + skipped, cut=True)
    return _of_text(data, look)


def _of_text(data: bytes, look: Look) -> Window:
    texts = data.split(look.separator) if look.separator else [data]
    return Window(
        stands_for=0, size=len(data), texts=texts, ends=len(texts) - 1, text_size=len(data),
        documents=texts[1:-1] if look.separator else (),
    )  # fmt: skip


def _from_word(data: bytes) -> tuple[bytes, int]:
    """Leave out the rest of a word or character that begins before."""
    near = data[:256]
    at = min((place for sign in (b"\n", b" ") if (place := near.find(sign)) >= 0), default=0)
    while at < min(len(data), 256) and data[at] & 0xC0 == 0x80:
        at += 1
    return data[at:], at


def _as_utf8(source: Source, look: Look, data: bytes, *, at: int, cut: bool = False) -> bytes:
    """Give the text as the encoder takes it; `cut`: its end need not be that of a character."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        if cut and error.start >= len(data) - 3 and error.reason == "unexpected end of data":
            return data[: error.start]
        if not look.strict:
            return data.decode(errors="replace").encode()
        raise _no_utf8(source, data, at, error) from error
    return data


def _no_utf8(source: Source, data: bytes, at: int, error: UnicodeDecodeError) -> BadInput:
    name = printable(source.path)
    if (what := not_text(data, is_first=at == 0)) not in ("", "zeros", "tar"):
        return BadInput(f"{name}: byte 0: not UTF-8: it looks like {what}", do=f"--input-encoding {what}")
    return BadInput(
        f"{name}: byte {at + error.start}: not UTF-8",
        do="oomguard prepare --errors replace (puts U+FFFD in its place) or --errors skip (leaves it out)",
    )


def _line_documents(source: Source, look: Look, lines: bytes, *, at: int) -> list[bytes]:
    """Give the documents of whole lines, of which the first begins at `at`."""
    try:
        parsed = parse_lines(
            lines, field=source.text_field, errors="strict" if look.strict else "skip", at_start=at == 0
        )
    except BadLine as bad:
        where = f":{bad.row + 1}" if at == 0 else f": line {bad.row + 1} from byte {at} on"
        raise BadInput(f"{printable(source.path)}{where}: {bad.what}", do=source.line_for(bad.do)) from bad
    text, offsets = parsed.text, parsed.offsets
    found = [text[offsets[one] : offsets[one + 1]] for one in range(len(offsets) - 1)]
    return found if look.strict else [document.decode(errors="replace").encode() for document in found]


class _Lines:
    """Windows of JSON Lines. A line that is longer than a window is kept, for it may be met again."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._kept: tuple[str, int, int, list[bytes]] = ("", 0, 0, [])
        self.bytes_read = 0

    def window(self, source: Source, start: int, end: int) -> Window:
        window = Window(stands_for=0, size=0, texts=[], ends=0, text_size=0, documents=[])
        for begin, stop, documents in self._lines(source, start, end):
            inside = (max(begin, start), min(stop, end))
            share = (inside[1] - inside[0]) / (stop - begin)
            texts = [_part(text, (inside[0] - begin) / (stop - begin), share) for text in documents]
            window.texts = [*window.texts, *texts]
            window.size += inside[1] - inside[0]
            window.text_size += share * sum(map(len, documents))
            window.ends += share * len(documents)
            if begin >= start:
                window.documents = [*window.documents, *(text[:MIB] for text in documents)]
        return window

    def _lines(self, source: Source, start: int, end: int) -> Iterator[tuple[int, int, list[bytes]]]:
        """Give the lines that have a part in a range: where each begins and ends, and its document, if it has one.

        Lines that are inside come together.
        """
        path, begin, stop, documents = self._kept
        if path == source.path and begin <= start and end <= stop:
            yield begin, stop, documents
            return
        with _open(source) as file:
            first = _line_begin(file, start)
            file.seek(first)
            data = file.read(end - first)
            data += file.readline(_LONGEST_LINE) if not data.endswith(b"\n") else b""
        self.bytes_read += len(data)
        head = data.find(b"\n") + 1 or len(data)
        tail = max(head, data.rfind(b"\n", 0, len(data) - 1) + 1)
        for low, high in ((0, head), (head, tail), (tail, len(data))):
            if high > low:
                found = _line_documents(source, self._look, data[low:high], at=first + low)
                if high - low > _WINDOW:
                    self._kept = (source.path, first + low, first + high, found)
                yield first + low, first + high, found


def _open(source: Source) -> Any:
    if source.is_remote:
        return source.open_places()
    return open_regular(source.path)


def _line_begin(file: Any, place: int) -> int:
    """Where the line begins that the byte at `place` is in."""
    step = 4 * KIB
    while place > 0:
        low = max(0, place - step)
        file.seek(low)
        found = file.read(place - low).rfind(b"\n")
        if found >= 0:
            return int(low + found + 1)
        place, step = low, min(2 * step, 4 * MIB)
    return 0


def _part(text: bytes, begin: float, share: float) -> bytes:
    """A part of a text, between characters."""
    if share >= 1:
        return text
    low, high = int(begin * len(text)), int((begin + share) * len(text))
    while low < len(text) and text[low] & 0xC0 == 0x80:
        low += 1
    while high < len(text) and text[high] & 0xC0 == 0x80:
        high += 1
    return text[low:high]


def _row_ranges(source: Source) -> list[dict[str, Any]]:
    """Give the pages of all row groups, as the file itself says where they are and what they hold."""
    from oomguard.preparation.reading.parquet import close_file, plan_groups

    asked = {"path": source.path, "field": source.text_field, "group": 0, "row": 0, "groups": 1 << 31, "chunk": _RANGE}
    try:
        planned = plan_groups(asked)
    finally:
        close_file()
    if "error" in planned:
        raise BadInput(planned["error"]["what"], do=planned["error"]["do"])
    ranges: list[dict[str, Any]] = planned["ranges"]
    return ranges


def _documents_in(source: Source, look: Look, pages: dict[str, Any]) -> list[bytes]:
    from oomguard.preparation.engines.messages import EncodeTask
    from oomguard.preparation.reading.parquet import BadRow, close_file, read_rows

    keys = ("group", "page", "pages", "skip", "rows", "size", "offset")
    task = EncodeTask(slot=0, kind="rows", path=source.path, **{key: pages[key] for key in keys})
    documents: list[bytes] = []
    try:
        # A range may hold more text than can be told from its pages; what is asked for is all of it.
        for decoded in read_rows(
            task, field=source.text_field, errors="strict" if look.strict else "skip", most=_LONGEST_LINE
        ):
            text, offsets = bytes(decoded.text), decoded.offsets
            documents += [text[offsets[one] : offsets[one + 1]] for one in range(len(offsets) - 1)]
    except BadRow as bad:
        where = f"row group {pages['group']}, row {pages['first'] + bad.row}"
        raise BadInput(f"{printable(source.path)}: {where}: {bad.what}", do=source.line_for(bad.do)) from bad
    finally:
        close_file()
    return [_as_utf8(source, look, document, at=0) for document in documents]


def _row_windows(sources: Sequence[Source], look: Look, draw: random.Random) -> Iterator[Window]:
    """Pages from all over all row groups; of each about as much text as in another window."""
    chosen, scale = _some(sources)
    ranges = [(number, source, one) for number, source in enumerate(chosen) for one in _row_ranges(source)]
    total = sum(one["size"] for _, _, one in ranges)
    begins = list(accumulate((one["size"] for _, _, one in ranges), initial=0))
    count, at = min(_RANGES, len(ranges)), 0
    for part in range(count):
        place = min(total - 1, int((part + draw.random()) * total / count))
        while begins[at + 1] <= place and count < len(ranges):
            at += 1
        number, source, one = ranges[at if count < len(ranges) else part]
        documents = _documents_in(source, look, one)
        text = sum(map(len, documents))
        longest = max(map(len, documents), default=0)
        spans = max(_SPANS, _WINDOWS * one["size"] // max(1, total)) if count == len(ranges) else _SPANS
        for window in _of_rows(documents, text, spans, draw):
            window.longest = longest
            if count == len(ranges):  # all are read, so that their text is known
                window.stands_for = scale * text * window.stands_for
                window.cluster = number if scale > 1 else -1
            else:  # for others it is what the file says that its pages hold
                window.size *= one["size"] / max(1, text)
                window.stands_for = scale * total / count * window.stands_for
                window.cluster = number if scale > 1 else part
            yield window


def _remote_row_windows(sources: Sequence[Source], look: Look, draw: random.Random) -> Iterator[Window]:
    """A little text of one row group of some files; each stands for its file's, as the footer has it."""
    if not sources:
        return
    from oomguard.preparation.reading.parquet_stream import look_into

    chosen, scale = _some(sources)
    for number, source in enumerate(chosen):
        total, documents = look_into(source, share=draw.random(), most=_REMOTE_TEXT)
        documents = [_as_utf8(source, look, document, at=0) for document in documents]
        text = sum(map(len, documents))
        if text:
            yield Window(
                stands_for=max(text, total) * scale, size=text, texts=documents, ends=len(documents), text_size=text,
                documents=[document[:MIB] for document in documents], cluster=number,
                unseen=1 - text / max(text, total),
            )  # fmt: skip


def _of_rows(documents: list[bytes], text: int, spans: int, draw: random.Random) -> Iterator[Window]:
    """The text of some pages in so many places, or all of it; each window stands for its share of them."""
    if text <= spans * _WINDOW:
        if text:
            yield Window(
                stands_for=1, size=text, texts=documents, ends=len(documents), text_size=text, documents=documents
            )
        return
    number = at = 0  # the document in which the next place is, and where it begins
    for span in range(spans):
        low = int((span + draw.random()) * (text - _WINDOW) / spans)
        high = low + _WINDOW
        while at + len(documents[number]) <= low:
            at += len(documents[number])
            number += 1
        texts: list[bytes] = []
        whole: list[bytes] = []
        begin = at
        for document in documents[number:]:
            if begin >= high:
                break
            if document:
                share = (min(begin + len(document), high) - max(begin, low)) / len(document)
                texts.append(_part(document, max(0, low - begin) / len(document), share))
                whole += [document[:MIB]] if begin >= low else []
            begin += len(document)
        yield Window(
            stands_for=1 / spans, size=_WINDOW, texts=texts, ends=len(documents) * _WINDOW / text, text_size=_WINDOW,
            documents=whole,
        )  # fmt: skip


def _some(sources: Sequence[Source]) -> tuple[list[Source], float]:
    """Give files at even distances, and how many times their bytes all have."""
    everything = sum(source.size or 0 for source in sources)
    most = _MOST_REMOTE if any(source.is_remote for source in sources) else _MOST_FILES
    step = -(-len(sources) // most) or 1
    chosen = list(sources[step // 2 :: step])
    taken = sum(source.size or 0 for source in chosen)
    return chosen, everything / taken if taken else 1.0


def _stream_windows(sources: Sequence[Source], look: Look) -> Iterator[Window]:
    """As much of compressed files as half a second allows, from their beginning."""
    chosen, scale = _some(sources)
    packed = sum(source.size or 0 for source in chosen)
    for number, source in enumerate(chosen):
        most = max(MIB, _STREAMED[source.compression or "bz2"] * (source.size or 0) // max(1, packed))
        most = 2 * MIB if source.is_remote else most
        windows: list[Window] = []
        with ByteStream(source, reserve=lambda *_: None) as stream:
            read = 0
            step = max(_STREAM_WINDOW, min(most, _INFLATES * packed) // _WINDOWS)
            for block, at in _blocks(stream, most, step, lines=source.kind == "jsonl"):
                windows.append(_stream_window(source, look, block, at))
                read = at + len(block)
            done = min(stream.compressed_position(), source.size or 0)
            is_all = read < most and not stream.read(1)
        seen = 1.0 if is_all else max(done, 1) / max(1, source.size or 1)
        for window in windows:
            window.stands_for *= scale / seen
            window.unseen = 1 - seen
            window.cluster = number if scale > 1 else -1
            if window.size:
                yield window


def _reader_windows(sources: Sequence[Source], look: Look) -> Iterator[Window]:
    """What only their readers find: from the beginning of some files."""
    chosen, scale = _some(sources)
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
    held, at = b"", 0
    while at + len(held) < most or (lines and held):
        got = stream.read(step)
        held += got
        cut = held.rfind(b"\n") + 1 if lines and got else len(held)
        if cut:
            yield held[:cut], at
            held, at = held[cut:], at + cut
        if not got or len(held) > _LONGEST_LINE or at >= most:
            return


def _stream_window(source: Source, look: Look, block: bytes, at: int) -> Window:
    if source.kind == "jsonl":
        end = block.find(b"\n", min(_STREAM_WINDOW, len(block) - 1)) + 1 or len(block)
        documents = _line_documents(source, look, block[:end], at=at)
        text = sum(map(len, documents))
        return Window(
            stands_for=len(block), size=end, texts=documents, ends=len(documents), text_size=text, documents=documents
        )
    data = block[:_STREAM_WINDOW]
    skipped = 0
    if at:
        data, skipped = _from_word(data)
    data = _as_utf8(source, look, data, at=at + skipped, cut=True)
    window = _of_text(data, look)
    window.stands_for = len(block)
    return window
