"""What the memory model writes down: what grows, a line that holds, the peak, a loop that runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oomguard.preparation.reading.text_shape import HELD, TextShape
from oomguard.script_analysis.interpreter.values import (
    ARRAYS,
    LIST_OF,
    OCTETS,
    REPRESENTATION,
    STREAMED,
    TEXTS,
    WRAPPED,
    AbstractValue,
)

if TYPE_CHECKING:
    import ast


# What a container becomes when something is put into it again and again.

# Bytes of CPython 3.11's objects on a 64-bit machine, by sys.getsizeof, with the slot or entry that refers to them.
_SLOT = 8.0
_NUMBER = 40.0  # an int above 256 or a float, and its slot in a list
_ENTRY = 100.0  # of a dict or set: 32 to 104 by how full its table is, and the key's place
_DIGEST = 90.0  # a hexdigest: 49 bytes and its 32 to 64 characters
_LIST = 72.0  # a list of one, with its header for the garbage collector
_COMPOSITE = 80.0  # a tuple, a small dict or an object around the parts
# An asyncio task with its coroutine, a thread, a file in memory, a partial, an error with its traceback, what an
# archive remembers of a member (326 bytes in a tar, 458 in a zip): what each takes beside what it holds.
_OBJECTS = {"future": 1000.0, "worker": 1000.0, "bytebuffer": 100.0, "textbuffer": 150.0, "compact": 64.0,
            "partial": 150.0, "exception": 330.0, "member": 400.0}  # fmt: skip
# An array that is one item of many: its object, malloc's headers, and its slot; one of frombuffer() also keeps the
# bytes object that it looks into. What a list of array2 costs counts them already.
_ARRAY_OBJECTS = {"file_array": 184.0, "array4": 152.0, "array8": 152.0}
_OF_PARTS = frozenset({"tuple", "object", "list", "dict", "set", "counter", "partial", "function"})
PAIR_BYTES = 88.0  # a tuple of a pair, and its slot
_TABLES = frozenset({"set", "dict"})
_VOCABULARY = frozenset({"word", "character", "token"})  # of these there are ever fewer new ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """One place where a container takes something in, in a loop."""

    holder: AbstractValue
    item: AbstractValue
    node: ast.AST
    spread: bool  # all that the item consists of is put in
    count: float  # how many are put in, for each byte of the input


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained:
    """What all of it costs. Units: bytes for each byte of the input."""

    kind: str | None  # None: only `extra`
    weight: float
    cost: float  # without `extra`
    extra: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.cost + self.extra


def retained(growth: Growth, fraction: float, shape: TextShape) -> Retained:
    """Say what the container holds once the loop has gone over `fraction` of the input."""
    kind = collected(growth.holder, growth.item, spread=growth.spread)
    representation = REPRESENTATION.get(kind or "")
    inner = main_part(growth.item)
    weight = inner.weight if inner is not None else growth.item.weight
    cost = fraction * weight * HELD[representation](shape) if representation else 0.0
    # Characters and tokens pass by in great numbers; what is larger than these does not.
    count = growth.count if kind is None or growth.item.kind in _VOCABULARY else min(growth.count, shape.lines)
    extra = 0.0 if growth.spread and kind else fraction * count * _small_bytes(growth, kind)
    return Retained(kind=kind, weight=weight, cost=cost, extra=extra)


def _small_bytes(growth: Growth, kind: str | None) -> float:
    """Give the bytes of one item, and of its place, that its kind does not count."""
    item = growth.item.one() if growth.spread else growth.item
    table = growth.holder.kind in _TABLES
    if table and item.kind in _VOCABULARY:
        return 0.0
    if item.is_constant:
        return _SLOT
    listed = growth.holder.inner is not None  # a table of lists: each is another object
    place = _ENTRY + (_LIST if listed else 0.0) if table else 0.0
    if kind is not None:
        main = main_part(item)
        arrays = _ARRAY_OBJECTS.get(main.kind, 0.0) if main is not None and kind == LIST_OF.get(main.kind) else 0.0
        return place + arrays + _OBJECTS.get(item.kind, _COMPOSITE if item.kind in _OF_PARTS - {"list"} else 0.0)
    if item.kind == "digest":
        return _DIGEST + place
    if item.kind == "none" or growth.holder.kind not in ("list", *_TABLES):
        return 0.0
    of_piece = item.item is not None and item.item.of_input and item.item.kind not in ("path", "path_of_many")
    if item.kind in _OBJECTS and of_piece:
        return place + _OBJECTS[item.kind]
    return max(place, _NUMBER) if item.kind in ("number", "unknown", "set", "list", "dict", "element") else place


def main_part(item: AbstractValue, depth: int = 0) -> AbstractValue | None:
    """Of an item that consists of several, give the one that holds most; None: none is made of the input."""
    if item.kind in WRAPPED:
        return None if item.item is None else main_part(item.item, depth + 1)
    if LIST_OF.get(item.kind) or item.kind not in _OF_PARTS or depth > 4:
        return item
    parts = [part for name, part in item.parts.items() if name != "class"]
    if item.item is not None:
        parts.append(item.item)
    mains = [main for part in parts if (main := main_part(part, depth + 1)) is not None]
    made = [main for main in mains if (main.of_input or main.fraction > 0) and LIST_OF.get(main.kind)]
    order = ("tokens", "token_lists", "records", "words", "document", "line")
    return min(made, key=lambda main: order.index(main.kind) if main.kind in order else len(order), default=None)


def collected(holder: AbstractValue, item: AbstractValue, *, spread: bool) -> str | None:
    """Say of what kind a container is that holds many of `item`; None: each costs little."""
    if holder.kind in ("text", "buffer", "textbuffer"):
        return "text" if item.kind not in ("bytes", "chunk") else "bytes"
    if holder.kind in ("bytes", "bytebuffer"):
        return item.kind if item.kind.startswith("array") else "bytes"
    if holder.kind == "compact":  # array.array
        return "array2"
    if holder.kind.startswith("array"):
        return holder.kind
    if item.is_constant:
        return None
    if spread and item.kind in OCTETS and holder.kind in ("list", "octets"):
        return "octets"
    if holder.kind == "counter" and spread:
        one = item.one()
        if one.kind == "tuple" or one.kind in _VOCABULARY:
            return "pairs" if one.kind == "tuple" and one.of_input else None
    taken = item.one() if spread else item
    if holder.kind in ("set", "dict", "counter") and taken.kind in _VOCABULARY:
        return None
    if taken.kind == "tuple" and all(part.kind in _VOCABULARY for part in taken.parts.values()):
        return "pairs" if taken.of_input else None
    main = main_part(taken)
    return LIST_OF.get(main.kind) if main is not None and not main.is_constant else None


def growth_rule(kind: str | None, holder: AbstractValue) -> str:
    """Name the finding for a container that has become this."""
    if holder.named == "memory":
        return "memory-file"
    if kind in ("tokens", "token_lists"):
        return "token-list"
    if kind in ("text", "bytes") and holder.kind not in _TABLES:
        return "growing-text"
    if kind is not None and (kind in ARRAYS or kind == "file_array"):
        return "growing-array"
    if holder.kind == "dict" and holder.value is not None:
        return "cache"
    return "growing-table" if holder.kind in (*_TABLES, "counter") else "growing-list"


def is_streamed(item: AbstractValue) -> bool:
    """Whether going through it brings the input by, a piece at a time."""
    return item.kind in STREAMED


def is_textual(item: AbstractValue) -> bool:
    """Whether it is a text, or a part of one."""
    return item.kind in TEXTS


# What the memory model writes down: a line that holds, the peak, a loop that runs.

_GIGABYTE = 1e9  # bytes whatever the input count as if the input were one, so that the two can be compared


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFinding:
    """A line that holds a part of the input that grows with the input."""

    line: int
    rule: str
    kind: str  # what it holds
    held: float  # bytes for each byte of the input, once it is done
    peak: float  # meanwhile
    disk: float = 0.0  # bytes of disk for each byte of the input
    fixed: float = 0.0  # bytes of memory whatever the input
    each: bool = False  # of each of many files, one after the other
    squared: float = 0.0  # bytes for each pair of documents
    reached: bool = True  # False: in a function that the script never calls


@dataclass(slots=True)
class Peak:
    """The most that lived at one moment."""

    per_byte: float = 0.0
    fixed: float = 0.0  # bytes besides, at the same moment
    line: int = 0

    def raise_to(self, per_byte: float, fixed: float, line: int) -> None:
        """Remember this moment, if more lives now."""
        if per_byte + fixed / _GIGABYTE > self.per_byte + self.fixed / _GIGABYTE:
            self.per_byte, self.fixed, self.line = per_byte, fixed, line


@dataclass(eq=False, slots=True)
class Loop:
    """A loop that runs."""

    number: int
    fraction: float  # of the input that it goes over; more than 0 makes it a loop over the input
    bounded: bool = False  # it stops after a number of items
    each: bool = False  # it goes over one of many files
    over: AbstractValue | None = None  # the list that it goes through, by its items or their numbers
    paired: bool = False  # it goes through the pairs of all items
    count: float = 0.0  # how many items pass by, for each byte of the input
    grown: list[Growth] = field(default_factory=list)
    flushed: list[AbstractValue] = field(default_factory=list)
    limits: dict[int, float] = field(default_factory=dict)  # bytes at which what is flushed is, where they are many
    numbers: set[str] = field(default_factory=set)  # the names that enumerate() gives numbers to
    counters: set[str] = field(default_factory=set)  # the names that it counts with
