"""Where a piece ends: at a safe cut near the size that is wanted, or else at the end of a document."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction

    from oomguard.preparation.encoding.safe_cuts import Separators

Read = Callable[[int, int], bytes]  # (offset, length) -> the bytes there, fewer at the end
Cut = Callable[[bytes], int | None]  # a window -> its last safe cut

VAL_REACH = 64 << 20  # how far to look for a cut where a validation split is to begin
_FIRST_WINDOW = 1 << 12
_WIDEST_WINDOW = 1 << 20
_OVERLAP = 64  # bytes; a cut at the edge of one window is seen whole in the next


def find_piece_end(
    read: Read, cut: Cut, *, start: int, target: int, end: int, longest: int, separators: Separators | None = None
) -> int | None:
    """Give the end of the piece that begins at `start`: a cut near `start + target`, or `end`.

    Looks back from the target first, so that most pieces are no longer than asked, then forward; for a safe cut, and
    where there is none, for the end of a document: behind one of the `separators`.
    None: the text has neither in its next `longest` bytes. All other arguments are bytes; no separator begins before
    `start` and ends behind it.
    """
    goal = start + target
    if end <= goal:
        return end
    find_behind = partial(_find_document_end, read, separators, start=start, goal=goal, end=end)
    behind = None
    window = _FIRST_WINDOW
    low = goal
    while low > start:
        high = min(low + _OVERLAP, end)
        low = max(start, goal - window)
        found = cut(read(low, high - low))
        if found is not None:
            return low + found
        if window == _FIRST_WINDOW:  # to look for separators is ten times as fast as to find no cut
            behind = find_behind(limit=goal)
            if behind is not None and behind > start + target // 2:
                return behind
        window = min(window * 8, window + _WIDEST_WINDOW)
    if behind is not None:
        return behind
    limit = start + longest
    behind = find_behind(limit=limit)
    return find_next_cut(read, cut, start=max(start, goal - _OVERLAP), end=behind or end, limit=limit)


def _find_document_end(
    read: Read, separators: Separators | None, *, start: int, goal: int, end: int, limit: int
) -> int | None:
    """Give the end of the last separator up to `goal`, else of the first one up to `limit`; None if there is none.

    All of the text from `start` on is looked at, because which of two separators that overlap counts is told by those
    before.
    """
    if separators is None:
        return None
    found = None
    low, step = start, max(_WIDEST_WINDOW, 4 * separators.longest)
    while low < min(end, goal if found else limit):
        high = min(low + step, end)
        behind = low
        for stop in separators.ends(read(low, high - low), is_end=high == end):
            behind = low + stop
            if behind > goal:
                return found or (behind if behind <= limit else None)
            found = behind
        if high == end:
            break
        low = max(behind, high - separators.longest)
    return found


def find_next_cut(read: Read, cut: Cut, *, start: int, end: int, limit: int) -> int | None:
    """Give a safe cut after `start`, or `end`; None if `limit` comes before either."""
    low, window = max(0, start), _FIRST_WINDOW
    while low < limit:
        high = min(low + window, end, limit + _OVERLAP)
        text = read(low, high - low)
        found = cut(text)
        if found is not None and low + found > limit:
            found = cut(text[: limit - low + 1])
        if found is not None and low + found > start:
            return low + found
        if high == end:
            return end if end <= limit else None
        low, window = high - _OVERLAP, min(window * 8, _WIDEST_WINDOW)
    return None


def find_first_cut(read: Read, cut: Cut, *, start: int, end: int, limit: int) -> int | None:
    """Give the first safe cut after `start`, or `end`, whatever the sizes of pieces; None as in `find_next_cut`."""
    bound = find_next_cut(read, cut, start=start, end=end, limit=limit)
    if bound is None:
        return None
    low = max(0, start - _OVERLAP)
    text = read(low, min(bound + _OVERLAP, end) - low)

    def shows_a_cut(length: int) -> bool:
        found = cut(text[:length])
        return found is not None and low + found > start

    # The longer the window, the later its last cut: the shortest window with any shows the first.
    shortest = bisect_left(range(len(text) + 1), 1, key=shows_a_cut)
    return low + (cut(text[:shortest]) or 0) if shortest <= len(text) else bound


def find_val_start(read: Read, cut: Cut, *, size: int, share: Fraction) -> int:
    """Give the first cut in the last `share` of a text, where validation begins; its end if none is near there."""
    start = int(size * (1 - share))
    found = find_first_cut(read, cut, start=start, end=size, limit=min(size, start + VAL_REACH))
    return size if found is None else found


def split_pieces(
    read: Read, cut: Cut, *, size: int, target: Callable[[], int], separators: Separators | None = None
) -> Iterator[bytes]:
    """Split `size` bytes into pieces of about `target()` bytes; a stretch without a cut stays whole."""
    start = 0
    while start < size:
        stop = find_piece_end(read, cut, start=start, target=target(), end=size, longest=size, separators=separators)
        assert stop is not None
        yield read(start, stop - start)
        start = stop
