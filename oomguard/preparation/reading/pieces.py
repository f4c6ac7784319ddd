"""Pieces of a stream: about a mebibyte each, which travel from the stream reader to a worker.

Documents that are not parts of one text, and JSON values that a worker has yet to parse, travel one behind the other
below their sizes and origins: int64[2 * count + 1], the count, each size (-1: there is none, as in a null), and where
each begins in its source: a byte of the inflated file, or a row.
"""

from __future__ import annotations

from array import array
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from oomguard.errors import BadInput, BudgetTooSmall, OomguardError
from oomguard.records import dataclass
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from oomguard.preparation.encoding.safe_cuts import Family

    # Asks for memory before it is held: the bytes that the step takes at its peak on top of the reader's usual need,
    # and for what. Raises to refuse. Nothing is given back: the largest amount that was granted stays granted.
    Reserve = Callable[[int, str], None]
    # What a stream has asked for itself so far: a further frame, or a member of an archive, may have a larger window.
    Held = Callable[[], int]


USUAL = 16 * MIB  # that a decoder or a batch takes within the stream reader's usual need: xz -6 takes 9 MiB


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How sources become pieces."""

    family: Family
    errors: Literal["strict", "replace", "skip"] = "strict"
    separator: bytes = b""  # stands between the documents of a text; empty: one document a file
    universal_newlines: bool = False  # of texts: CR LF and CR read as LF
    piece_bytes: int = MIB
    longest_piece: int = 16 * MIB  # the most that is searched for a safe cut
    largest_document: int = 1 << 62  # a longer line or document is refused
    val_share: Fraction = Fraction(0)  # of the end of a text on a server that is for validation
    to_the_fault: bool = False  # of a damaged text, what is before the fault is given: it is not continued
    note: Callable[[str], None] = lambda _: None  # hears what a person should know of a source, at its end
    unasked: int = 8 * MIB  # a line, document or page of more than this is asked for

    def __post_init__(self) -> None:
        if not 0 < self.piece_bytes <= self.longest_piece:
            raise ValueError(f"piece_bytes {self.piece_bytes} is not in 1..longest_piece")


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive text, or whole lines, of a source.

    Of text, `b"".join(data).split(separator)` are its parts of documents: the first continues the document of the
    piece before unless `starts_document`, the last continues in the next piece unless `ends_document`.
    """

    data: Sequence[bytes | bytearray | memoryview]  # one behind the other
    starts_document: bool
    ends_document: bool
    resume: dict[str, Any]  # JSON: where reading continues right after this piece
    where: str  # the place of its first byte or value: "line 120", "byte 4096"
    task: Literal["text", "lines", "documents", "values"] = "text"  # what it is for the worker
    read_to: int | None = None  # how far into the file; None: as far as the descriptor is
    split: Literal["train", "val"] | None = None  # of a text whose end is for validation
    goes_on: bool = False  # its document ends here for a split's sake only: the next piece has the rest
    origin: int = 0  # of text and lines: the byte of the inflated source, or of a member of it, where they begin
    member: str = ""  # the file in an archive that they come from


_COPIES = 4  # bytes held for each byte of a large document: as it comes, in the slot, its parsed text, its tokens
_STEP = 8 * MIB  # by which a document grows between two questions


class Room:
    """Asks for the memory of a large document; of one whose size is not known before, in steps, while it grows."""

    def __init__(
        self, name: str, options: ReadOptions, reserve: Reserve, *, held: Held = lambda: 0, copies: int = _COPIES
    ) -> None:
        """`copies`: bytes that each byte of a document takes."""
        self._name = name
        self._reserve = reserve
        self._held = held
        self._copies = copies
        self._asked = options.unasked * _COPIES // copies
        scaled = options.largest_document * _COPIES // copies
        self._largest = max(scaled, min(options.largest_document, 2 * options.piece_bytes))

    @property
    def unasked(self) -> int:
        """Bytes that a document may have without asking: for those who would ask of each."""
        return min(self._asked, self._largest)

    def ask(self, size: int, where: str, rest: Callable[[], int] | None = None) -> None:
        """Ask for a document of `size` bytes; of one that is still growing `rest` finds out how many more it has.

        Raises: BudgetTooSmall for one that does not fit, with all of its size.
        """
        is_long = size > self._largest
        if size <= self._asked and not is_long:
            return
        for asked in () if is_long else (size,) if rest is None else (size + _STEP, size):
            try:
                self._reserve(self._copies * asked + self._held(), f"{self._name}: {where}")
            except BudgetTooSmall:
                continue
            self._asked = asked
            return
        raise self._too_long(size + (rest() if rest is not None else 0), where)

    def _too_long(self, size: int, where: str) -> BudgetTooSmall:
        need = self._copies * size
        return BudgetTooSmall(
            f"{self._name}: {where} is {format_size(size)} long and needs {format_size(need)} of memory to read; "
            f"the longest that fits here is {format_size(self._largest)}",
            do=f"give --max-rss {format_size(need)} more than now, or remove it",
            alone=need + self._held(),
        )


class Packer:
    """Puts documents, or JSON values, together to pieces."""

    def __init__(self, options: ReadOptions, *, task: Literal["documents", "values"], word: str, number: int) -> None:
        """`word` and `number` say for people which the next one is: "record", 17."""
        self._most = options.piece_bytes
        self._task: Literal["documents", "values"] = task
        self._word = word
        self._first = self._next = number
        self._held: list[bytes | memoryview | None] = []
        self._last: tuple[dict[str, Any], int | None] | None = None  # the position behind them
        self._origins: list[int] = []
        self._size = 0

    @property
    def where(self) -> str:
        """The place of what is added next."""
        return f"{self._word} {self._next}"

    def add(
        self, document: bytes | memoryview | None, origin: int, resume: dict[str, Any], read_to: int | None = None
    ) -> Iterator[Piece]:
        """Take one more, behind which reading continues with `resume`; give a piece once there is one."""
        if document is not None and len(document) >= self._most and self._last is not None:
            yield from self.rest(*self._last)  # a large one is a piece of its own, as its memory is counted
        self._held.append(document)
        self._origins.append(origin)
        self._last = resume, read_to
        self._next += 1
        self._size += 16 + (0 if document is None else len(document))
        if self._size >= self._most:
            yield from self.rest(resume, read_to)

    def rest(self, resume: dict[str, Any], read_to: int | None = None) -> Iterator[Piece]:
        """Give what is left, if anything is."""
        if not self._held:
            return
        held, origins, where = self._held, self._origins, f"{self._word} {self._first}"
        self._held, self._origins, self._size, self._first, self._last = [], [], 0, self._first + len(held), None
        yield Piece([pack(held, origins)], True, True, resume, where, self._task, read_to)  # noqa: FBT003


# A document, its origin, the position behind it, read_to.
Found = tuple[bytes | memoryview | None, int, dict[str, Any], int | None]


def packed(found: Iterator[Found], packer: Packer, start: dict[str, Any]) -> Iterator[Piece]:
    """Give pieces of what is found; where something is wrong, first what was found before. `start`: the position."""
    position, read_to = start, None
    try:
        for document, origin, position, read_to in found:
            yield from packer.add(document, origin, position, read_to)
    except OomguardError:
        yield from packer.rest(position, read_to)
        raise
    yield from packer.rest(position, read_to)


def pack(documents: Sequence[bytes | memoryview | None], origins: Sequence[int]) -> bytes:
    """Put documents together, as the module says."""
    head = array("q", [len(documents), *(-1 if one is None else len(one) for one in documents), *origins])
    return b"".join([head.tobytes(), *(one for one in documents if one is not None)])


def unpack(data: memoryview) -> tuple[memoryview, list[int], list[int]]:
    """Give the documents, one behind the other, their sizes (-1 for one that is not there), and their origins."""
    count = data[:8].cast("q")[0]
    head = data[8 : 8 * (2 * count + 1)].cast("q").tolist()
    return data[8 * (2 * count + 1) :], head[:count], head[count:]


def no_cut(path: str, where: str, width: int) -> BadInput:
    """Say that a text has no safe cut."""
    return BadInput(
        f"{path}: {where}: the next {format_size(width)} is one word, which cannot be cut without changing tokens",
        do="put spaces into this text or remove it, or give a larger --max-rss",
    )
