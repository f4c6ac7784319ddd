"""What a script's expressions stand for: how much of the input each holds, and how it is held.

A `kind` says what a value is; the tables here say what a list of such values is, what one item of it is, and which
representation of oomguard.preparation.reading.text_shape says what it costs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ast

# What one item of it is, when it is gone through.
ITEM = {
    "text": "character", "line": "character", "document": "character", "word": "character", "character": "character",
    "bytes": "number", "chunk": "number", "characters": "character", "lines": "line", "words": "word",
    "documents": "document", "chunks": "chunk", "tokens": "token", "token_lists": "tokens", "token_arrays": "array2",
    "array2": "token", "array4": "token", "array8": "token", "records": "record", "json": "record", "dataset": "record",
    "column": "document", "file": "line", "table": "record", "frame_csv": "record", "frame_json": "record",
    "frame_parquet": "record", "frames": "frame_csv", "record": "value", "rows": "record", "file_array": "number",
    "tree": "record", "token": "token", "value": "character", "fields": "value", "values": "value", "pairs": "tuple",
    "stored": "number", "octets": "number",
}  # fmt: skip

# What a list of such values is, when each is appended. What is not here costs little for each document: numbers, paths.
LIST_OF = {
    "text": "documents", "line": "lines", "document": "documents", "word": "words", "character": "characters",
    "bytes": "chunks", "chunk": "chunks", "lines": "lines", "words": "words", "documents": "documents",
    "characters": "characters", "token": "tokens", "tokens": "token_lists", "token_lists": "token_lists",
    "token_arrays": "token_arrays", "array2": "token_arrays", "array4": "array4", "array8": "array8",
    "record": "records", "records": "records", "json": "records", "frame_csv": "frames", "frame_json": "frames",
    "frame_parquet": "frames", "table": "frames", "chunks": "chunks", "column": "documents", "frames": "frames",
    "value": "lines", "values": "lines", "fields": "lines", "rows": "rows", "file_array": "file_array",
    "pairs": "pairs", "tree": "records", "matrix": "matrix", "octets": "octets",
}  # fmt: skip

# The representation of HELD that says what all of it costs.
REPRESENTATION = {
    "text": "text", "bytes": "bytes", "chunk": "bytes", "chunks": "bytes", "line": "text", "document": "text",
    "lines": "lines", "words": "words", "characters": "characters", "documents": "documents", "tokens": "tokens",
    "token_lists": "token_lists", "token_arrays": "token_arrays", "array2": "array2", "array4": "array4",
    "array8": "array8", "records": "records", "json": "json", "frame_csv": "frame_csv", "frame_json": "frame_json",
    "frame_parquet": "frame_parquet", "table": "table", "utf8_copy": "utf8_copy", "frames": "frame_csv",
    "dataset": "dataset", "file_array": "file_array", "pairs": "pairs", "matrix": "matrix", "rows": "rows",
    "tree": "tree", "fields": "lines", "values": "lines", "value": "text", "octets": "octets",
}  # fmt: skip

# Which count of the input's shape says how many of them there are.
COUNT = {
    "line": "lines", "value": "lines", "document": "documents", "record": "documents", "word": "words",
    "token": "tokens", "character": "characters", "lines": "documents",
}  # fmt: skip

OCTETS = frozenset({"bytes", "chunk", "octets"})  # each item is a number that Python has ready
TEXTS = frozenset({"text", "line", "document", "word", "character", "value"})
ARRAYS = {"array2": 2, "array4": 4, "array8": 8}
FRAMES = frozenset({"frame_csv", "frame_json", "frame_parquet", "table"})
LISTS = frozenset({
    "lines", "words", "documents", "characters", "tokens", "token_lists", "token_arrays", "records", "chunks", "fields",
    "values", "rows", "pairs", "octets",
})  # fmt: skip
SMALL_ITEMS = frozenset({"words", "characters", "tokens", "lines"})  # a list's slots for them are worth telling
STREAMED = frozenset({"file", "dataset", "stream"})
_RULES = {
    "tokens": "token-list",
    "token_lists": "token-list",
    "token_arrays": "growing-list",
    "frames": "growing-list",
    "text": "growing-text",
    "bytes": "growing-text",
}
_HOLDERS = LISTS | {"json", "column"}
POINTER = 0.05  # of the cost of a document's objects, or less: a list's slot for each
_DOCUMENT_POINTER = 0.005
# What a list of it is remembered for: something is done with each later.
CONTAINED = frozenset({"output", "file", "object", "queue", "future", "dict", "set", "counter", "list"})
WRAPPED = frozenset(
    {"future", "worker", "bytebuffer", "textbuffer", "compact", "exception"}
)  # they hold what they were made of
WHOLE_ITEMS = frozenset({"tuple", "object", "function", "partial", *WRAPPED})  # what is kept is the item itself
CALLABLE = frozenset({"bound", "function", "partial"})
_SMALL = frozenset({"line", "word", "character", "value"})
TOKEN_POINTER = 0.23  # a slot, of a slot and an int


class Frame(dict[str, "AbstractValue"]):
    """The names of a function, and in which loops each was given its value."""

    def __init__(self, names: dict[str, AbstractValue] | None = None, *, entered: tuple[int, ...] = ()) -> None:
        super().__init__(names or {})
        self.entered = entered  # the loops that ran when the function was called
        self.births: dict[str, tuple[int, ...]] = {}
        self.around: list[Frame] = []  # the names around the function


@dataclass(eq=False, slots=True, kw_only=True)
class AbstractValue:
    """One object of the script, as far as memory goes."""

    kind: str = "unknown"
    fraction: float = 0.0  # of the input that it holds, or goes over: 1 is all of it, 0 a piece of bounded size
    weight: float = 1.0  # of its kind's cost: a slice of a list shares its items
    extra: float = 0.0  # bytes for each byte of the input, besides what its kind costs: slots, keys, small objects
    of_input: bool = False  # made from the input
    each: bool = False  # it holds one of many files whole, and not all of them at once
    small: bool = False  # a file that is no corpus: a vocabulary, a configuration
    item: AbstractValue | None = None
    inner: AbstractValue | None = None  # of a table of lists: one of the lists, where it is gone through
    parts: dict[str, AbstractValue] = field(default_factory=dict)  # what it keeps alive: attributes, elements
    born: tuple[int, ...] = ()  # the loops that were running when it was made
    value: Any = None  # a constant, a dotted name, a function's node
    origin: str = ""  # of what nobody knows: the call that gave it
    named: str = ""  # of a file: what its path and its name say of it
    count: float = 0.0  # of a stream: how many pass by, for each byte of the input; 0: its items say it
    paired: bool = False  # one for each pair of the input's items
    of_length: float | None = None  # of a number: its part of the input's length
    home: Frame | None = None  # the names around a function
    fixed: float = 0.0  # bytes, whatever the input
    line: int = 0

    def one(self) -> AbstractValue:
        """Give what going through it gives, an item at a time."""
        if self.inner is not None:
            return self.inner
        if self.item is not None:
            return self.item
        if self.kind == "tuple" and (parts := [one for one in self.parts.values() if one.of_input]):
            return next((one for one in parts if one.kind in LIST_OF), parts[0])
        kind = ITEM.get(self.kind, "unknown")
        weight = 1.0
        if self.fraction > 0 and self.kind in _HOLDERS:  # the item is there already; what takes it in adds a pointer
            weight = TOKEN_POINTER if kind == "token" else POINTER if kind in _SMALL else _DOCUMENT_POINTER
        return AbstractValue(
            kind=kind,
            of_input=self.of_input or self.fraction > 0,
            born=self.born,
            weight=weight,
            origin=self.origin,
        )

    @property
    def is_constant(self) -> bool:
        """Whether it stands in the script, so that it exists once however often it is used."""
        return self.value is not None and self.kind in ("text", "bytes", "number") and not self.of_input


def text_source(node: ast.AST | None) -> str:
    """Give an expression as text, for looking at the names in it."""
    import ast as syntax

    return "" if node is None else syntax.unparse(node)


def rule_for(kind: str) -> str:
    """Give the finding's name for a list of this kind."""
    return _RULES.get(kind, "growing-array" if kind in ARRAYS or kind == "file_array" else "list-of-input")


def kept_item(item: AbstractValue) -> AbstractValue | None:
    """Of a list of lists, one of the lists, which is there already; None: its kind says what an item is."""
    if item.kind not in LISTS - {"tokens", "token_lists", "rows", "records"}:
        return None
    inner = AbstractValue(kind=ITEM.get(item.kind, "unknown"), of_input=True, weight=POINTER)
    return AbstractValue(kind=item.kind, of_input=True, weight=_DOCUMENT_POINTER, item=item.item or inner)
