"""Windows of plain text and JSON Lines, at places all over the files."""

from __future__ import annotations

from array import array
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.kernel.plain_files import open_regular
from oomguard.preparation.reading.lines import BadLine, parse_lines
from oomguard.preparation.reading.sample_parts import (
    LONGEST_LINE,
    WINDOW,
    WINDOWS,
    Look,
    Window,
    as_utf8,
    from_word,
    of_text,
    part_of,
)
from oomguard.text import printable
from oomguard.units import KIB, MIB

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

    from oomguard.preparation.reading.source import Source


_FEW = 32
_MOST_READ = 192 * MIB  # of lines that stick out of their windows
_PROBES = 8
_REMOTE_WINDOWS = 32  # places on servers


def plain_windows(sources: Sequence[Source], look: Look, draw: random.Random) -> Iterator[Window]:
    """One window in each equal part of the bytes of plain files, all text or all JSON Lines."""
    total = sum(source.size or 0 for source in sources)
    if not total:
        return
    most = _REMOTE_WINDOWS if any(source.is_remote for source in sources) else WINDOWS
    count = max(1, min(most, total // WINDOW))
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
        if size <= 2 * WINDOW:
            yield sources[number], 0, size
        else:
            start = (place - begins[number]) * (size - WINDOW) // size
            yield sources[number], start, start + WINDOW


def _text_window(source: Source, look: Look, start: int, end: int) -> Window:
    with _open(source) as file:
        file.seek(start)
        data = file.read(end - start)
    skipped = 0
    if start:
        data, skipped = from_word(data)
    data = as_utf8(source, look, data, at=start + skipped, cut=True)
    return of_text(data, look)


def line_documents(source: Source, look: Look, lines: bytes, *, at: int) -> list[bytes]:
    """Give the documents of whole lines, of which the first begins at `at`."""
    try:
        parsed = parse_lines(
            lines, field=source.text_field, errors="strict" if look.strict else "skip", at_start=at == 0
        )
    except BadLine as bad:
        where = f":{bad.row + 1}" if at == 0 else f": line {bad.row + 1} from byte {at} on"
        raise BadInput(f"{printable(source.path)}{where}: {bad.what}", do=source.line_for(bad.do)) from bad
    text, offsets = parsed.text, parsed.offsets
    found = [bytes(text[offsets[one] : offsets[one + 1]]) for one in range(len(offsets) - 1)]
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
            texts = [part_of(text, (inside[0] - begin) / (stop - begin), share) for text in documents]
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
            data += file.readline(LONGEST_LINE) if not data.endswith(b"\n") else b""
        self.bytes_read += len(data)
        head = data.find(b"\n") + 1 or len(data)
        tail = max(head, data.rfind(b"\n", 0, len(data) - 1) + 1)
        for low, high in ((0, head), (head, tail), (tail, len(data))):
            if high > low:
                found = line_documents(source, self._look, data[low:high], at=first + low)
                if high - low > WINDOW:
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
