"""Windows of Parquet: pages from all over the row groups."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.preparation.reading.sample_parts import (
    LONGEST_LINE,
    WINDOW,
    WINDOWS,
    Look,
    Window,
    as_utf8,
    part_of,
    some_of,
)
from oomguard.text import printable
from oomguard.units import MIB

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

    from oomguard.preparation.reading.source import Source


_REMOTE_TEXT = MIB  # of a file on a server
_RANGE = MIB  # of the rows of a Parquet file
_RANGES = 96
_SPANS = 8  # of a range


def row_ranges(source: Source) -> list[dict[str, Any]]:
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


def documents_in(source: Source, look: Look, pages: dict[str, Any]) -> list[bytes]:
    """Give the documents of some pages. Raises: BadInput."""
    from oomguard.preparation.engines.messages import EncodeTask
    from oomguard.preparation.reading.parquet import BadRow, close_file, read_rows

    keys = ("group", "page", "pages", "skip", "rows", "size", "offset")
    task = EncodeTask(slot=0, kind="rows", path=source.path, **{key: pages[key] for key in keys})
    documents: list[bytes] = []
    try:
        # A range may hold more text than can be told from its pages; what is asked for is all of it.
        for decoded in read_rows(
            task, field=source.text_field, errors="strict" if look.strict else "skip", most=LONGEST_LINE
        ):
            text, offsets = bytes(decoded.text), decoded.offsets
            documents += [text[offsets[one] : offsets[one + 1]] for one in range(len(offsets) - 1)]
    except BadRow as bad:
        where = f"row group {pages['group']}, row {pages['first'] + bad.row}"
        raise BadInput(f"{printable(source.path)}: {where}: {bad.what}", do=source.line_for(bad.do)) from bad
    finally:
        close_file()
    return [as_utf8(source, look, document, at=0) for document in documents]


def row_windows(sources: Sequence[Source], look: Look, draw: random.Random) -> Iterator[Window]:
    """Pages from all over all row groups; of each about as much text as in another window."""
    chosen, scale = some_of(sources)
    ranges = [(number, source, one) for number, source in enumerate(chosen) for one in row_ranges(source)]
    total = sum(one["size"] for _, _, one in ranges)
    begins = list(accumulate((one["size"] for _, _, one in ranges), initial=0))
    count, at = min(_RANGES, len(ranges)), 0
    for part in range(count):
        place = min(total - 1, int((part + draw.random()) * total / count))
        while begins[at + 1] <= place and count < len(ranges):
            at += 1
        number, source, one = ranges[at if count < len(ranges) else part]
        documents = documents_in(source, look, one)
        text = sum(map(len, documents))
        longest = max(map(len, documents), default=0)
        spans = max(_SPANS, WINDOWS * one["size"] // max(1, total)) if count == len(ranges) else _SPANS
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


def remote_row_windows(sources: Sequence[Source], look: Look, draw: random.Random) -> Iterator[Window]:
    """A little text of one row group of some files; each stands for its file's, as the footer has it."""
    if not sources:
        return
    from oomguard.preparation.reading.parquet_stream import look_into

    chosen, scale = some_of(sources)
    for number, source in enumerate(chosen):
        total, documents = look_into(source, share=draw.random(), most=_REMOTE_TEXT)
        documents = [as_utf8(source, look, document, at=0) for document in documents]
        text = sum(map(len, documents))
        if text:
            yield Window(
                stands_for=max(text, total) * scale, size=text, texts=documents, ends=len(documents), text_size=text,
                documents=[document[:MIB] for document in documents], cluster=number,
                unseen=1 - text / max(text, total),
            )  # fmt: skip


def _of_rows(documents: list[bytes], text: int, spans: int, draw: random.Random) -> Iterator[Window]:
    """The text of some pages in so many places, or all of it; each window stands for its share of them."""
    if text <= spans * WINDOW:
        if text:
            yield Window(
                stands_for=1, size=text, texts=documents, ends=len(documents), text_size=text, documents=documents
            )
        return
    number = at = 0  # the document in which the next place is, and where it begins
    for span in range(spans):
        low = int((span + draw.random()) * (text - WINDOW) / spans)
        high = low + WINDOW
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
                texts.append(part_of(document, max(0, low - begin) / len(document), share))
                whole += [document[:MIB]] if begin >= low else []
            begin += len(document)
        yield Window(
            stands_for=1 / spans, size=WINDOW, texts=texts, ends=len(documents) * WINDOW / text, text_size=WINDOW,
            documents=whole,
        )  # fmt: skip
