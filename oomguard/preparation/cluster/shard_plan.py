"""Which stretch of the parts each shard is, from numbers alone: so that any machine can write any shard.

The rules are those of the writer of `prepare`. A shard has `full` tokens of its split; where a format knows documents,
it ends with the first document that ends at that many tokens or more. A part's segment belongs to one split, or the
numbers of its documents decide.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from oomguard.preparation.writing.val_split import ValSplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from oomguard.preparation.writing.token_sink import Split

SPLITS: tuple[Split, ...] = ("val", "train")  # val first: all parts have some of it, and can go when it is written


@dataclass(frozen=True, slots=True)
class At:
    """A place among all parts, and the number of the document there."""

    unit: int
    segment: int
    token: int
    end: int
    document: int


@dataclass(frozen=True, slots=True)
class PlannedShard:
    """One shard: tokens of a split between two places."""

    split: Split
    index: int
    tokens: int
    start: At
    stop: At


@dataclass(frozen=True, slots=True)
class Stretch:
    """Documents in a row of one segment. `ends`: int64[document_count], in tokens from the segment's begin."""

    begin: At
    stop: int  # tokens from the segment's begin; behind the last end stands what has none yet
    ends: Any
    split: Split | None


def plan_shards(
    stretches: Iterable[Stretch],
    *,
    full: int | None,
    with_documents: bool,
    val_fraction: str | float | None,
    first_index: dict[Split, int],
    fold_last: bool = False,
) -> list[PlannedShard]:
    """Divide the tokens of each split into shards, val first. `full` None: one shard a split.

    `val_fraction` None: all that names no split is for training. `first_index`: of the splits there are.
    """
    val = ValSplit(val_fraction) if val_fraction is not None else None
    streams = {
        split: _Stream(split, first, full, with_documents=with_documents) for split, first in first_index.items()
    }
    last = At(0, 0, 0, 0, 0)
    for stretch in stretches:
        for split, stream in streams.items():
            if val is None or stretch.split is not None:
                if split == (stretch.split or "train"):
                    stream.take(stretch, None)
            else:
                mask = val.mask(stretch.begin.document, len(stretch.ends) + 1)
                stream.take(stretch, mask if split == "val" else ~mask)
        last = replace(stretch.begin, token=stretch.stop, end=stretch.begin.end + len(stretch.ends))
    for stream in streams.values():
        stream.finish(last)
    if fold_last:
        for stream in streams.values():
            stream.keep_last_two()
    return [shard for split in SPLITS if split in streams for shard in streams[split].shards]


class _Stream:
    """The tokens of one split, in order."""

    def __init__(self, split: Split, first: int, full: int | None, *, with_documents: bool) -> None:
        self.shards: list[PlannedShard] = []
        self._split, self._index, self._full, self._with_documents = split, first, full, with_documents
        self._held = 0  # tokens of the open shard
        self._start: At | None = None  # where it begins; None: none is open

    def take(self, stretch: Stretch, own: Any) -> None:
        """Take the documents that are `own` (bool[document_count + 1]); None: all."""
        import numpy as np

        stops = np.append(stretch.ends, stretch.stop)
        lengths = np.diff(stops, prepend=stretch.begin.token)
        if own is None:
            own = np.ones(len(stops), bool)
        sums = np.cumsum(lengths * own)
        if self._with_documents:
            self._take_documents(stretch, stops, sums, np.flatnonzero(own[:-1]))
        else:
            self._take_tokens(stretch, stops, sums)

    def _take_tokens(self, stretch: Stretch, stops: Any, sums: Any) -> None:
        total = int(sums[-1])
        if not total:
            return
        self._start = self._start or stretch.begin
        base = -self._held  # of the open shard, in tokens of the split from the stretch's begin
        while self._full is not None and base + self._full <= total:
            goal = base + self._full
            document = int(sums.searchsorted(goal))
            token = int(stops[document] - (sums[document] - goal))
            ended = document + int(token == stops[document] and document < len(stretch.ends))
            self._close(_in(stretch, token, ended), self._full, is_more=goal < total)
            base = goal
        self._held = total - base

    def _take_documents(self, stretch: Stretch, stops: Any, sums: Any, own: Any) -> None:
        total, ended = int(sums[-1]), sums[own]
        if not total and not len(own):
            return
        self._start = self._start or stretch.begin
        base, done = -self._held, 0
        while self._full is not None:
            at = done + int(ended[done:].searchsorted(base + self._full))
            if at == len(ended):
                break
            done = at + 1
            stop, tokens = _in(stretch, int(stops[own[at]]), int(own[at]) + 1), int(ended[at]) - base
            base += tokens
            self._close(stop, tokens, is_more=base < total or done < len(own))
        self._held = total - base

    def _close(self, stop: At, tokens: int, *, is_more: bool) -> None:
        assert self._start is not None
        self.shards.append(PlannedShard(self._split, self._index, tokens, self._start, stop))
        self._index += 1
        self._held, self._start = 0, stop if is_more else None

    def finish(self, last: At) -> None:
        """Nothing comes any more: what is open is a shard."""
        if self._start is not None:
            self._close(last, self._held, is_more=False)

    def keep_last_two(self) -> None:
        """One machine writes them: the last one may have to join the one before it."""
        if len(self.shards) > 1:
            *_, before, last = self.shards
            self.shards[-2:] = [replace(before, tokens=before.tokens + last.tokens, stop=last.stop)]


def _in(stretch: Stretch, token: int, ended: int) -> At:
    begin = stretch.begin
    return At(begin.unit, begin.segment, token, begin.end + ended, begin.document + ended)


def share_of(shards: list[PlannedShard], number: int, of: int) -> list[PlannedShard]:
    """The shards of worker `number` of several: in a row, and about as many tokens as the others'."""
    total = sum(shard.tokens for shard in shards)
    own, before = [], 0
    for shard in shards:
        if min(of - 1, before * of // max(1, total)) == number:
            own.append(shard)
        before += shard.tokens
    return own


def stretches_of(
    unit: int, segments: Iterable[tuple[Split | None, int, int, Iterator[Any]]], document: int
) -> Iterator[Stretch]:
    """The stretches of a unit's segments: split, tokens, documents, and where these end; `document`: before it."""
    import numpy as np

    for number, (split, tokens, documents, ends) in enumerate(segments):
        token, ended = 0, 0
        held: Any = np.empty(0, np.int64)
        for more in ends:
            if len(held):
                stop = int(held[-1])
                yield Stretch(At(unit, number, token, ended, document + ended), stop, held, split)
                token, ended = stop, ended + len(held)
            held = more
        yield Stretch(At(unit, number, token, ended, document + ended), tokens, held, split)
        document += documents
