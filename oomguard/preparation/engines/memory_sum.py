"""What a run takes, as a sum of fixed parts, and how a budget is divided among its processes.

Nothing in a run grows: not with the input, and not with the time. The constants are unreclaimable memory measured on
Linux 6.18, Python 3.11, x86_64 (docs/memory.md says how); all are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from oomguard.errors import BudgetTooSmall
from oomguard.units import KIB, MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oomguard.preparation.encoding.safe_cuts import Family

Input = Literal["text", "lines", "rows"]

_COORDINATOR = 16 * MIB  # with its share of kernel memory, the progress display and the writer
_WORKER: Mapping[Input, int] = {  # an interpreter, what it imports, the chunk that it has in hand
    "text": 11 * MIB,
    "lines": 25 * MIB,
    "rows": 48 * MIB,
}
_UNEVEN_PAGES = 3 * MIB  # some pages are larger than most
_STREAM_READER = 26 * MIB  # an interpreter and a decompressor
_SHUFFLE = 12 * MIB  # what buckets are given at once, twice for arrays that grow
_VOCABULARY: Mapping[Family, int] = {"gpt2": 5 * MIB // 2, "cl100k": 5 * MIB, "o200k": 10 * MIB}  # shared by all
_REFERENCE: Mapping[Family, int] = {"gpt2": 22 * MIB, "cl100k": 40 * MIB, "o200k": 92 * MIB}  # tiktoken
# A state's cache_bits and its bytes; from 4.6 MiB on with 2 MiB for the huge pages at its ends.
_STATES = (
    (17, 20 * MIB), (16, 11 * MIB), (15, 7 * MIB), (14, 5 * MIB // 2), (13, 4 * MIB // 3), (12, 3 * MIB // 4),
)  # fmt: skip
_TOKEN_SHARE = 0.35  # tokens for each byte of text, with some to spare
_CHUNK = MIB
_USUAL_ROWS = 4 * MIB  # of text in a page, as most writers make them
_RESERVED_PART = 32  # one in so many bytes is never planned with: page tables, sockets
_UNCUT_COST = 8  # for each byte of text without a cut: the text, its tokens, what takes its place where it is no UTF-8
_LEAST_WORD = MIB // 4
_MOST_WORD = 64 * MIB
# What is kept free before states are made larger: for a document of 8 MiB, for a word.
_ROOM_FOR_DOCUMENTS = 32 * MIB
_ROOM_FOR_WORDS = 8 * MIB
_MOST_DOCUMENT = 1024 * MIB
_LEAST_PIECE = 8 * MIB  # a slot holds what usual pages hold; what is not touched takes no memory
SCRATCH = 256 * KIB  # that a worker may take for a long word without asking
_READER_SLOTS = 2  # how far the stream reader may be ahead


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetPlan:
    """What each process may use. Sizes in bytes."""

    budget: int
    workers: int
    piece_bytes: int
    cache_bits: int  # of the native core's state
    longest_word: int  # of text without a safe cut
    longest_piece: int  # that a slot must hold
    largest_document: int  # of a jsonl line or a parquet value
    slots: int
    sum: int  # of all parts: what the run takes
    alone: int  # that a chunk may take beyond its usual share while it is the only one under way


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What decides how much memory a job takes."""

    family: Family
    token_bytes: int
    vocabulary: int | None = None  # bytes of the core's; None: as of tiktoken's encoding of that family
    each_verifies: bool = False  # every worker has the reference, and not one of them
    reference: int | None = None  # bytes that the reference takes; None: likewise
    inputs: frozenset[Input]
    stream: bool  # something is read as a stream: compressed, or standard input
    native: bool
    verify: bool
    shuffle: bool = False  # documents go through buckets on disk
    chunks: int  # about how many there are: more workers would have nothing to do


def plan_budget(budget: int, *, needs: Needs, workers: int | None, cpus: int) -> BudgetPlan:
    """Divide `budget` bytes: as many workers as there are CPUs and as fit, then the largest states that fit.

    Raises: BudgetTooSmall if one worker does not fit, or the number asked for does not; both name what would.
    """
    usable = budget - budget // _RESERVED_PART
    least_state = _STATES[-1][1] if needs.native else 0
    fit = 0
    while fit < (workers or cpus) and _sum(needs, fit + 1, least_state) + _dense(needs, fit + 1) <= usable:
        fit += 1
    if fit < (workers or 1):
        least = smallest_budget(needs=needs, workers=workers or 1)
        who = f"{workers} workers do" if workers and workers > 1 else "one worker does"
        raise BudgetTooSmall(
            f"{who} not fit in {format_size(budget)}: this job needs at least {format_size(least)}",
            do=f"oomguard run --max-rss {-(-least // MIB)}M or more"
            + (", or fewer --workers" if workers and workers > 1 and fit >= 1 else "")
            + (", or --verify off" if needs.verify and needs.native else ""),
        )
    count = min(workers or cpus, fit)
    bits, state = _STATES[-1][0], least_state
    if needs.native:
        room = _ROOM_FOR_DOCUMENTS if needs.inputs != {"text"} else _ROOM_FOR_WORDS
        spare = usable - max(room, _dense(needs, count))
        bits, state = next(one for one in _STATES if _sum(needs, count, one[1]) <= spare or one is _STATES[-1])
    total = _sum(needs, count, state)
    alone = max(0, usable - total - _dense(needs, count))
    # One that waits for the others may use what they do not use meanwhile: their chunks and most of the ring.
    alone += (count - 1) * _CHUNK
    word = max(_LEAST_WORD, min(alone // _UNCUT_COST, _MOST_WORD))
    largest = min(_MOST_DOCUMENT, max(2 * _CHUNK, alone // 3))
    return BudgetPlan(
        budget=budget,
        workers=count,
        piece_bytes=_CHUNK,
        cache_bits=bits,
        longest_word=word,
        longest_piece=max(_LEAST_PIECE, word, largest),
        largest_document=largest,
        slots=_slots(needs, count),
        sum=total,
        alone=alone,
    )


def smallest_budget(*, needs: Needs, workers: int) -> int:
    """Give the least budget in bytes that `plan_budget` accepts."""
    least = _STATES[-1][1] if needs.native else 0
    return _with_reserve(_sum(needs, workers, least) + _dense(needs, workers))


def budget_with_room(alone: int, *, needs: Needs, workers: int | None, cpus: int, at_least: int = 0) -> int:
    """Give a budget in bytes, a whole number of MiB, with which a chunk may take `alone` bytes while it is alone.

    at_least: what there is now. A smaller one might do, with smaller states, but nobody would understand it.
    """
    budget = -(-max(at_least, smallest_budget(needs=needs, workers=workers or 1)) // MIB) * MIB
    while plan_budget(budget, needs=needs, workers=workers, cpus=cpus).alone < alone:
        budget += max(MIB, budget // 128 // MIB * MIB)
    return budget


def _sum(needs: Needs, workers: int, state: int) -> int:
    """All parts. A sample is encoded again by one worker; with `full`, and without the core, each has the reference."""
    reference = _REFERENCE[needs.family] if needs.reference is None else needs.reference
    total = _COORDINATOR + workers * (max(_WORKER[one] for one in needs.inputs) + state)
    if needs.native:
        vocabulary = _VOCABULARY[needs.family] if needs.vocabulary is None else needs.vocabulary
        verifiers = workers if needs.each_verifies else 1
        total += vocabulary + (verifiers * reference if needs.verify else 0)
    else:
        total += workers * reference
    if needs.stream:
        total += _STREAM_READER
    if needs.shuffle:
        total += _SHUFFLE
    if "rows" in needs.inputs:
        total += _UNEVEN_PAGES
    return total + _slots(needs, workers) * _slot(needs)


def _slots(needs: Needs, workers: int) -> int:
    """One in work and one behind it for each worker, and one that is written."""
    return 2 * workers + 1 + (_READER_SLOTS if needs.stream else 0)


def _slot(needs: Needs) -> int:
    text = _USUAL_ROWS if "rows" in needs.inputs else _CHUNK
    return int(text * _TOKEN_SHARE * needs.token_bytes) + (_CHUNK if needs.stream else 0)


def _dense(needs: Needs, workers: int) -> int:
    """What the slots take beyond the sum where each byte of text is a token, as in a script that an encoding lacks.

    It is kept free. Pages of Parquet are larger than a chunk already.
    """
    if "rows" in needs.inputs:
        return 0
    return int(_slots(needs, workers) * _CHUNK * (1 - _TOKEN_SHARE) * needs.token_bytes)


def _with_reserve(usable: int) -> int:
    """The least budget of which so much is left without the reserve."""
    budget = usable * _RESERVED_PART // (_RESERVED_PART - 1) - 2
    while budget - budget // _RESERVED_PART < usable:
        budget += 1
    return budget
