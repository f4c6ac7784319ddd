"""How a memory budget is divided among the processes of a run.

The constants are anonymous memory measured on Linux 6.18, Python 3.11, x86_64 (docs/memory.md says how); all are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.errors import BudgetTooSmall
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from oomguard.preparation.encoding.safe_cuts import Family

COORDINATOR = 30 * MIB  # with its share of kernel memory, the progress display and the writer
READER = 60 * MIB  # pyarrow, a batch of rows, a decompressor
_NURSERY: dict[Family, int] = {"gpt2": 50 * MIB, "cl100k": 66 * MIB, "o200k": 80 * MIB}  # before it learned anything
_FORKED = 16 * MIB  # what an encoder does not share with the nursery, beside what it learns
_REFERENCE: dict[Family, int] = {"gpt2": 22 * MIB, "cl100k": 40 * MIB, "o200k": 92 * MIB}  # tiktoken, for --verify
_WORD_COST = 30  # gigatoken's memory for each byte of one very long word: 16 MiB took 23 a byte, plus its result
# How far a tokenizer may grow. One that has grown to N takes up to 2.8 N for a moment when its table doubles.
_LEAST_GROWTH = 8 * MIB
_GOOD_GROWTH = 12 * MIB  # with less, processes are exchanged so often that one alone is as fast as two
_MOST_GROWTH = 256 * MIB
_MOST_LEARNED = 64 * MIB  # more makes no difference to speed
_WHILE_DOUBLING = 2.8
_NEVER = 1 << 62
_LEAST_WORD = MIB // 4
_MOST_WORD = 64 * MIB
_READER_SLOTS = 8  # how far the reader may be ahead where it takes turns with the encoders
_RESERVED_PART = 10  # one in so many bytes is never planned with: page tables, what a table holds twice while it grows


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetPlan:
    """What each process may use. Sizes in bytes."""

    budget: int
    workers: int
    piece_bytes: int
    learn: int  # what the nursery may learn before it only forks others
    growth: int  # by which a tokenizer may grow before its process is exchanged
    longest_word: int  # of text without a safe cut
    longest_piece: int  # that a slot must hold
    largest_document: int  # of a jsonl line or a parquet value
    slots: int
    verify_in_place: bool


def plan_budget(
    budget: int, *, family: Family, workers: int | None, cpus: int, reader: bool, verify: bool
) -> BudgetPlan:
    """Divide `budget` bytes: as many workers as there are CPUs and as fit, then caches, then pieces.

    Raises: BudgetTooSmall if one worker does not fit, or the number asked for does not; both name what would.
    """
    usable = budget * (_RESERVED_PART - 1) // _RESERVED_PART - _fixed(family, reader=reader, verify=verify)
    fit = _how_many(usable - _NURSERY[family])
    wanted = workers or cpus
    if fit < (workers or 1):
        least = smallest_budget(family=family, workers=workers or 1, reader=reader, verify=verify)
        who = f"{workers} workers do" if workers and workers > 1 else "one worker does"
        raise BudgetTooSmall(
            f"{who} not fit in {format_size(budget)}: this job needs at least {format_size(least)}",
            do=f"oomguard run --max-rss {-(-least // MIB)}M or more"
            + (", or fewer --workers" if workers and workers > 1 and fit >= 1 else "")
            + (", or --verify off" if verify else ""),
        )
    count = min(wanted, fit)
    piece, growth = _divide(usable - _NURSERY[family], count)
    while workers is None and count > 1 and growth < _GOOD_GROWTH:
        # One that remembers is faster than two that keep forgetting.
        count -= 1
        piece, growth = _divide(usable - _NURSERY[family], count)
    word = max(_LEAST_WORD, min((usable - _NURSERY[family]) // _WORD_COST, _MOST_WORD))
    return BudgetPlan(
        budget=budget,
        workers=count,
        piece_bytes=piece,
        learn=_learn(growth, count),
        growth=growth,
        longest_word=word,
        longest_piece=max(2 * piece, word),
        largest_document=usable,
        slots=2 * count + 3 + (_READER_SLOTS if reader else 0),
        verify_in_place=verify,
    )


def smallest_budget(*, family: Family, workers: int, reader: bool, verify: bool) -> int:
    """Give the least budget in bytes that `plan_budget` accepts."""
    return _with_reserve(_fixed(family, reader=reader, verify=verify) + _NURSERY[family] + _least(workers))


def budget_for_word(size: int, *, family: Family, reader: bool, verify: bool) -> int:
    """Give the budget in bytes with which a word of `size` bytes that cannot be cut is encoded."""
    needs = max(size * _WORD_COST, _least(1))
    return _with_reserve(_fixed(family, reader=reader, verify=verify) + _NURSERY[family] + needs)


def _fixed(family: Family, *, reader: bool, verify: bool) -> int:
    return COORDINATOR + (READER if reader else 0) + (_REFERENCE[family] if verify else 0)


def _with_reserve(usable: int) -> int:
    """The least budget of which so much is left without the reserve."""
    return -(-usable * _RESERVED_PART // (_RESERVED_PART - 1))


def _divide(room: int, count: int) -> tuple[int, int]:
    """Give the piece size, and how far each tokenizer may grow; `room` is for all `count` workers."""
    if count == 1:  # the nursery alone
        piece = _piece_bytes(room)
        return piece, max(_LEAST_GROWTH, min(_MOST_GROWTH, int((room - 3 * piece) / _WHILE_DOUBLING)))
    piece = _piece_bytes(room // count - _FORKED)
    room -= count * (_FORKED + 3 * piece)
    return piece, max(_LEAST_GROWTH, min(_MOST_GROWTH, int(room / (1 + count * _WHILE_DOUBLING))))


def _learn(growth: int, count: int) -> int:
    """Give how much the nursery learns before it only forks others: half of what they may.

    One worker stays the nursery for good: another process would take memory, and it can forget.
    """
    return min(growth // 2, _MOST_LEARNED) if count > 1 else _NEVER


def nursery_bytes(family: Family) -> int:
    """Give what the first encoder takes before it has learned anything, in bytes."""
    return _NURSERY[family]


def forked_bytes() -> int:
    """Give what each encoder takes that is forked from it, in bytes."""
    return _FORKED


def _how_many(room: int) -> int:
    """How many workers fit at the least that each needs."""
    if room < _least(1):
        return 0
    return max(1, room // (_least(2) // 2))


def _least(workers: int) -> int:
    """The least that so many workers need beside the nursery's own memory."""
    each = _LEAST_GROWTH + 3 * MIB
    return each if workers == 1 else workers * (each + _FORKED)


def _piece_bytes(share: int) -> int:
    """Large pieces cost less to hand around; a worker has two under way, of text's size together in tokens."""
    for piece in (4 * MIB, 2 * MIB, MIB):
        if share >= 12 * piece:
            return piece
    return MIB // 2
