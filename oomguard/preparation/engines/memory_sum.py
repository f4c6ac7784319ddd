"""What a run takes, as a sum of fixed parts, and how a budget is divided among its processes.

Nothing in a run grows: not with the input, and not with the time. The constants are unreclaimable memory measured on
Linux 6.18, Python 3.11, x86_64 (docs/memory.md says how); all are bytes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from oomguard.errors import BudgetTooSmall
from oomguard.records import dataclass
from oomguard.units import KIB, MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oomguard.preparation.encoding.safe_cuts import Family

Input = Literal["text", "lines", "rows"]

_SUPERVISOR = 20 * MIB  # of a run inside another one, and as much again that is kept free for it
_COORDINATOR = 16 * MIB  # with its share of kernel memory, the progress display and the writer
_HELD = 12 * MIB  # of these, by a program that has imported oomguard and no more
_VARIES = 4 * MIB  # and what any other holds is a little more or less the next time
_WORKER: Mapping[Input, int] = {  # an interpreter, what it imports, the chunk that it has in hand
    "text": 21 * MIB // 2,
    "lines": 18 * MIB,
    "rows": 19 * MIB,  # with pyarrow, and without a page
}
_STREAM_READER = 26 * MIB  # an interpreter and a decompressor
# With a server: requests and TLS (12 MiB), blocks, the socket's buffer (6 MiB, as tcp_rmem has it); credentials and
# signatures (9 MiB of botocore, 7 of google-auth). Of Parquet from there: Arrow (32 MiB), a footer, pages of up to
# 8 MiB and their text.
_REMOTE, _REMOTE_ROWS, _SIGNING = 24 * MIB, 52 * MIB, 16 * MIB
_PROVENANCE = 40 * MIB  # pyarrow and numpy in the coordinator, a row group
_SHUFFLE = 12 * MIB  # what buckets are given at once, twice for arrays that grow
_VOCABULARY: Mapping[Family, int] = {"gpt2": 5 * MIB // 2, "cl100k": 5 * MIB, "o200k": 10 * MIB}  # shared by all
_REFERENCE: Mapping[Family, int] = {"gpt2": 22 * MIB, "cl100k": 40 * MIB, "o200k": 92 * MIB}  # tiktoken
# A state's cache_bits and its bytes, whether its pages are huge or not.
_STATES = (
    (17, 73 * MIB // 4), (16, 37 * MIB // 4), (15, 19 * MIB // 4), (14, 5 * MIB // 2), (13, 4 * MIB // 3),
    (12, 3 * MIB // 4),
)  # fmt: skip
# So many workers at the most have the first, and the second: each is 4 to 8 % faster than the next, while all of them
# fit in a usual third-level cache. Beyond that a worker more should take little (18 MiB for text).
_LARGEST_STATES = (2, 4)
# With so many chunks for each at the most, the first, the first two, the first three are not worth what it takes to
# clear them: 5 ms of CPU time, and 40 where the kernel has to move memory to make huge pages.
_SHORT_RUNS = (16, 4, 1)
_TOKEN_SHARE = 0.35  # tokens for each byte of text, with some to spare
_CHUNK = MIB
# Where there is room, twice as large: what the coordinator does for each is what no second thread can take over.
_LARGE_CHUNK = 2 * MIB
_ROOM_FOR_CHUNKS = 256 * MIB  # that is left then
# For each byte of a chunk beyond the usual, what a worker holds of it beside its slot: 1 of text, 5 of short lines.
_CHUNK_COST: Mapping[Input, int] = {"text": 1, "lines": 5}
# Of Parquet whose pages are not known: what one needs, and the text in it.
_USUAL_PAGE, _USUAL_ROWS = 12 * MIB, 4 * MIB
_BATCH = 4 * MIB  # of values that are copied out of a page, twice
_LOOSE = 8 * MIB  # that malloc keeps for blocks of less than 8 MiB, at the most
# Where a worker's share of the budget is so large, larger blocks as well: to read a page of 9 MB that faults its memory
# in anew takes half as much time again.
_MORE_LOOSE, _SHARE_FOR_LOOSE = 24 * MIB, 256 * MIB
_MOST_ROWS = 16 * MIB  # of text that one slot takes
_RESERVED_PART = 32  # one in so many bytes is never planned with: page tables, sockets
_UNCUT_COST = 8  # for each byte of text without a cut: the text, its tokens, what takes its place where it is no UTF-8
LINE_COST = 4  # likewise of a line, a record or a row: it, its parsed text, that as UTF-8, its tokens
_LEAST_WORD = MIB // 4
_MOST_WORD = 64 * MIB
# What is kept free before states are made larger: for a document of 8 MiB, for a word.
_ROOM_FOR_DOCUMENTS = 32 * MIB
_ROOM_FOR_WORDS = 8 * MIB
_MOST_DOCUMENT = 1024 * MIB
_LEAST_PIECE = 16 * MIB  # a slot holds more than usual pages hold; what is not touched takes no memory
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
    page: int  # that a page of Parquet may need within a worker's usual share
    alone: int  # that a chunk may take beyond its usual share while it is the only one under way
    together: int  # that all large chunks under way may take so, beside others
    loose: int = _LOOSE  # that malloc may keep in each worker


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
    remote: frozenset[bool] = frozenset()  # something comes from a server; True: Parquet
    signed: bool = False  # some of it by requests that a library of the server's owner signs
    sends: bool = False  # the coordinator sends what was made to a server, by such requests
    verify: bool
    provenance: bool = False  # a file of it is written
    shuffle: bool = False  # documents go through buckets on disk
    chunks: int  # about how many there are: more workers would have nothing to do
    page: int | None = None  # bytes that the largest page of Parquet needs while it is read; None: not known
    page_text: int | None = None  # and the text in it
    held: int = 0  # bytes that the program which calls `prepare` held before
    is_part: bool = False  # the budget is what a limit around the run leaves, and nobody named it
    ahead: int = 0  # bytes that the stream reader is known to need at once, beyond the usual,
    ahead_of: str = ""  # and what for


def plan_budget(budget: int, *, needs: Needs, workers: int | None, cpus: int) -> BudgetPlan:
    """Divide `budget` bytes: as many workers as there are CPUs and as fit, then the largest states that fit.

    Raises: BudgetTooSmall if one worker does not fit, or the number asked for does not; both name what would.
    """
    usable = budget - budget // _RESERVED_PART
    least_state = _STATES[-1][1] if needs.native else 0
    asked = needs
    fit = _most_workers(needs, usable, workers or cpus)
    waits = 0  # bytes of its largest page beyond the usual: if it does not fit beside others, it is done alone
    if fit < (workers or 1):
        needs, waits = _with_usual_pages(asked), _beyond_usual(asked)
        fit = _most_workers(needs, usable, workers or cpus, waits)
    if fit < (workers or 1):
        least = smallest_budget(needs=asked, workers=workers or 1) + (_VARIES if needs.held > _HELD else 0)
        who = f"{workers} workers do" if workers and workers > 1 else "one worker does"
        raise BudgetTooSmall(
            f"{who} not fit in {format_size(budget)}: this job needs at least {format_size(least)}"
            + (f", {format_size(needs.ahead)} of it for {needs.ahead_of}" if needs.ahead else ""),
            do=f"--max-rss {-(-least // MIB)}M or more{_around(least, needs)}"
            + (", or fewer --workers" if workers and workers > 1 and fit >= 1 else "")
            + (", or --verify off" if needs.verify and needs.native else ""),
        )
    count = min(workers or cpus, fit)
    bits, state = _STATES[-1][0], least_state
    if needs.native:
        room = _ROOM_FOR_DOCUMENTS if needs.inputs != {"text"} else _ROOM_FOR_WORDS
        least = _least(needs, count, waits)
        room = min(room, (usable - least) // 2)  # with a small state, encoding takes twice the time
        spare = usable - max(room, least - _sum(needs, count, least_state))
        left_out = max(
            sum(count > most for most in _LARGEST_STATES), sum(0 < needs.chunks <= few * count for few in _SHORT_RUNS)
        )
        states = _STATES[left_out:]
        bits, state = next(one for one in states if _sum(needs, count, one[1]) <= spare or one is _STATES[-1])
    chunk = _CHUNK
    is_cut = "rows" not in needs.inputs and not needs.stream
    if is_cut and _sum(needs, count, state, _LARGE_CHUNK) + _ROOM_FOR_CHUNKS + needs.ahead <= usable:
        chunk = _LARGE_CHUNK
    total = _sum(needs, count, state, chunk)
    loose = _loose(needs, usable - total, usable // count) if not waits else _LOOSE
    total += count * (min(loose, _page(needs)) - min(_LOOSE, _page(needs)))
    together = max(0, usable - total - _dense(needs, count, chunk))
    # One that waits for the others may use what they do not use meanwhile: their chunks.
    alone = together + (count - 1) * chunk
    word = max(_LEAST_WORD, min(alone // _UNCUT_COST, _MOST_WORD))
    largest = min(_MOST_DOCUMENT, max(2 * chunk, alone // LINE_COST))
    return BudgetPlan(
        budget=budget,
        workers=count,
        piece_bytes=chunk,
        cache_bits=bits,
        longest_word=word,
        longest_piece=max(_LEAST_PIECE, word, largest),
        largest_document=largest,
        slots=_slots(needs, count),
        sum=min(usable, total + count * (_page(asked) - _page(needs))),
        page=_page(needs),
        alone=alone,
        together=together,
        loose=loose,
    )


def _loose(needs: Needs, spare: int, share: int) -> int:
    """What malloc may keep in a worker, of which each has `share` bytes and all of them leave `spare`."""
    is_ample = "rows" in needs.inputs and min(share, spare) >= _SHARE_FOR_LOOSE
    return _MORE_LOOSE if is_ample else _LOOSE


def flag_for(budget: int, *, needs: Needs) -> str:
    """The flag for a budget; where a limit around the run decides, with what that has to be."""
    return f"--max-rss {-(-budget // MIB)}M{_around(budget, needs)}"


def _around(budget: int, needs: Needs) -> str:
    """Of a limit around it a run takes 80 %, and leaves 40 MiB for its supervisor."""
    if not needs.is_part:
        return ""
    around = -(-max(budget + 2 * _SUPERVISOR, budget * 5 // 4) // MIB)
    return f" ({around}M where it is the run or container around this command that has the limit)"


def smallest_budget(*, needs: Needs, workers: int) -> int:
    """Give the least budget in bytes that `plan_budget` accepts."""
    return _with_reserve(min(_least(needs, workers), _least(_with_usual_pages(needs), workers, _beyond_usual(needs))))


def budget_with_room(alone: int, *, needs: Needs, workers: int | None, cpus: int, at_least: int = 0) -> int:
    """Give a budget in bytes, a whole number of MiB, with which a chunk may take `alone` bytes while it is alone.

    at_least: what there is now. A smaller one might do, with smaller states, but nobody would understand it.
    """
    budget = -(-max(at_least, smallest_budget(needs=needs, workers=workers or 1)) // MIB) * MIB
    while plan_budget(budget, needs=needs, workers=workers, cpus=cpus).alone < alone:
        budget += max(MIB, budget // 128 // MIB * MIB)
    return budget


def _most_workers(needs: Needs, usable: int, most: int, waits: int = 0) -> int:
    """How many fit; `waits` as in `_least`."""
    fit = 0
    while fit < most and _least(needs, fit + 1, waits) <= usable:
        fit += 1
    return fit


def _least(needs: Needs, workers: int, waits: int = 0) -> int:
    """What so many workers take at the least, and a chunk alone of which `waits` bytes are beyond the usual."""
    state = _STATES[-1][1] if needs.native else 0
    return _sum(needs, workers, state) + _dense(needs, workers) + needs.ahead + _for_one_alone(waits, workers)


def _for_one_alone(waits: int, workers: int) -> int:
    """Of so many bytes, those that the other workers do not leave while they wait."""
    return max(0, waits - (workers - 1) * _CHUNK)


def _beyond_usual(needs: Needs) -> int:
    """What the largest page takes beyond the usual share, as `RowFeed` reckons it: with its text, for the slot."""
    usual = _page(_with_usual_pages(needs))
    return _page(needs) - usual + (needs.page_text or 0) if _page(needs) > usual else 0


def _with_usual_pages(needs: Needs) -> Needs:
    """With pages no larger than most writers make them."""
    return replace(needs, page=min(_page(needs), _USUAL_PAGE), page_text=min(_page_text(needs), _USUAL_ROWS))


def _page(needs: Needs) -> int:
    return _USUAL_PAGE if needs.page is None else needs.page


def _page_text(needs: Needs) -> int:
    return _USUAL_ROWS if needs.page_text is None else min(needs.page_text, _MOST_ROWS)


def _sum(needs: Needs, workers: int, state: int, chunk: int = _CHUNK) -> int:
    """All parts. A sample is encoded again by one worker; with `full`, and without the core, each has the reference."""
    reference = _REFERENCE[needs.family] if needs.reference is None else needs.reference
    worker = state + max(_worker(one, needs, chunk) for one in needs.inputs)
    total = _COORDINATOR + max(0, needs.held - _HELD) + workers * worker
    if needs.native:
        vocabulary = _VOCABULARY[needs.family] if needs.vocabulary is None else needs.vocabulary
        verifiers = workers if needs.each_verifies else 1
        total += vocabulary + (verifiers * reference if needs.verify else 0)
    else:
        total += workers * reference
    if needs.stream:
        total += _STREAM_READER + (_REMOTE if needs.remote else 0) + (_REMOTE_ROWS if True in needs.remote else 0)
        total += _SIGNING if needs.signed else 0
    if needs.sends:
        total += _REMOTE + _SIGNING
    if needs.provenance:
        total += _PROVENANCE
    if needs.shuffle:
        total += _SHUFFLE
    return total + _slots(needs, workers) * _slot(needs, chunk) + _pages_of_slots(needs, workers, chunk)


def _slots(needs: Needs, workers: int) -> int:
    """One in work and one behind it for each worker, and one that is written."""
    return 2 * workers + 1 + (_READER_SLOTS if needs.stream else 0)


def _worker(one: Input, needs: Needs, chunk: int) -> int:
    """A worker without its state."""
    if one != "rows":
        return _WORKER[one] + _CHUNK_COST[one] * (chunk - _CHUNK)
    return _WORKER[one] + _page(needs) + _BATCH + min(_LOOSE, _page(needs))


def _slot(needs: Needs, chunk: int) -> int:
    return int(chunk * _TOKEN_SHARE * needs.token_bytes) + (chunk if needs.stream else 0)


def _pages_of_slots(needs: Needs, workers: int, chunk: int) -> int:
    """What slots take beyond a chunk's: each worker fills one from a page, and one is written."""
    if "rows" not in needs.inputs:
        return 0
    return int((workers + 1) * max(0, _page_text(needs) - chunk) * _TOKEN_SHARE * needs.token_bytes)


def _dense(needs: Needs, workers: int, chunk: int = _CHUNK) -> int:
    """What the slots take beyond the sum where each byte of text is a token, as in a script that an encoding lacks.

    It is kept free. Pages of Parquet are larger than a chunk already.
    """
    if "rows" in needs.inputs:
        return 0
    return int(_slots(needs, workers) * chunk * (1 - _TOKEN_SHARE) * needs.token_bytes)


def _with_reserve(usable: int) -> int:
    """The least budget of which so much is left without the reserve."""
    budget = usable * _RESERVED_PART // (_RESERVED_PART - 1) - 2
    while budget - budget // _RESERVED_PART < usable:
        budget += 1
    return budget
