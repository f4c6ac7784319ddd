"""What a corpus takes in Python's memory, by the way it is held: bytes for each byte of its UTF-8 text.

Sizes of objects are CPython 3.11's on a 64-bit machine (Objects/unicodeobject.c, longobject.c, listobject.c,
obmalloc.c); later versions differ by a few bytes a string. That the formulas hold, and the figures for pandas, pyarrow
and datasets, was measured by benchmarks/trap_costs.py (`make costs`; docs/check.md has the table).
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_SLOT = 8.0  # a pointer in a list; what list.extend() reserves beyond is never touched, and so takes no memory
_INT = 32.1  # an int above 256 in pymalloc, with its share of the pools' headers
SMALL_INT = 256  # ints up to here exist once
_RANK = 4.0  # tiktoken collects uint32 before it makes the list
_LIST = 72.0  # an empty list with its header for the garbage collector
_ARRAY = 120.0  # a numpy array's object and malloc's header
_RECORD = 200.0  # a dict with one key, its value not counted
_PAIR = 110.0  # a tuple of two, and its entry in a dict
_CELL = 8.4  # of a sparse matrix of counts: an index and a number for each word that a document has once or more
_ROW = 120.0  # a tuple of a few columns
_ELEMENT = 180.0  # an xml.etree element with its tag's and its children's places
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextShape:
    """Ratios of a corpus, each for a byte of its UTF-8."""

    characters: float
    widest: int  # bytes that Python stores for each character of a text: 1, 2 or 4, by the widest in all of it
    tokens: float
    large_tokens: float  # the fraction of the ids above 256
    documents: float
    lines: float  # how many
    words: float  # how many
    line_objects: float  # bytes of the str objects and list slots of its lines
    word_objects: float
    document_objects: float
    utf8_copies: float  # bytes of the documents that are not ASCII: encoding leaves a UTF-8 copy in each
    record_bytes: float = 1.0  # of the file, for each byte of the text in it: JSON has more fields than the text


# FineWeb, 48 MB: what is assumed of an input that nobody has seen. GPT-2's ids, 4.45 bytes a token.
ENGLISH = TextShape(
    characters=0.994,
    widest=4,
    tokens=0.2245,
    large_tokens=0.835,
    documents=0.00031,
    lines=0.0047,
    words=0.164,
    line_objects=1.734,
    word_objects=11.6,
    document_objects=1.784,
    utf8_copies=0.798,
)


def measure_shape(documents: Sequence[str], count: Callable[[str], tuple[int, int]]) -> TextShape:
    """Measure a sample: its documents, and what counts the tokens of a text, all and those above 256.

    Raises: ValueError if the sample is empty.
    """
    sizes = [len(document.encode(errors="replace")) for document in documents]
    total = sum(sizes) + len(sizes)  # what divides two documents is a byte, too
    if not any(sizes):
        raise ValueError("an empty sample has no shape")
    document_objects = _objects(documents)  # before encoding, which leaves its copy in them
    tokens = large = 0
    for document in documents:
        found, found_large = count(document)
        tokens += found
        large += found_large
    lines = [line for document in documents for line in f"{document}\n".splitlines(keepends=True)]
    words = [word for document in documents for word in _WORD.findall(document)]
    return TextShape(
        characters=(sum(map(len, documents)) + len(documents)) / total,
        widest=max(map(character_width, documents)),
        tokens=tokens / total,
        large_tokens=large / tokens if tokens else 1.0,
        documents=len(documents) / total,
        lines=len(lines) / total,
        words=len(words) / total,
        line_objects=_objects(lines) / total,
        word_objects=_objects(words) / total,
        document_objects=document_objects / total,
        utf8_copies=sum(size for size, text in zip(sizes, documents, strict=True) if not text.isascii()) / total,
    )


def character_width(text: str) -> int:
    """Bytes that Python stores for each character of this text. Source: PEP 393."""
    widest = max(text, default="")
    return 1 if widest < "\u0100" else 2 if widest < "\U00010000" else 4


def _objects(texts: Iterable[str]) -> float:
    return sum(_allocated(sys.getsizeof(text)) + _SLOT for text in texts)


def _allocated(size: int) -> float:
    """With what the allocator adds: pymalloc up to 512 bytes in steps of 16, malloc above with a header of 8."""
    return -(-size // 16) * 16 * 1.003 if size <= 512 else -(-(size + 8) // 16) * 16


def _text(shape: TextShape) -> float:
    return shape.widest * shape.characters


def _read_peak(shape: TextShape) -> float:
    """The bytes, and the text; characters outside ASCII make the decoder copy what it has into a wider text."""
    return 1.0 + _text(shape) * (1 if shape.widest == 1 else 2)


def _tokens(shape: TextShape) -> float:
    return shape.tokens * (_SLOT + _INT * shape.large_tokens)


def _records(shape: TextShape) -> float:
    return shape.document_objects * shape.record_bytes + shape.documents * _RECORD


def _frame_json(shape: TextShape) -> float:
    return 1.5 + 2.6 * shape.document_objects


# What each way holds once it is done.
HELD: Mapping[str, Callable[[TextShape], float]] = {
    "text": _text,
    "bytes": lambda _: 1.0,
    "utf8_copy": lambda shape: shape.utf8_copies,
    "lines": lambda shape: shape.line_objects,
    "words": lambda shape: shape.word_objects,
    "characters": lambda shape: shape.characters * _SLOT,
    "octets": lambda _: float(_SLOT),  # a list of bytes' numbers, which Python has ready
    "documents": lambda shape: shape.document_objects,
    "records": _records,
    "json": _records,
    "joined": _text,
    "tokens": _tokens,
    "tokens_whole": _tokens,
    "tolist": _tokens,
    "token_lists": lambda shape: _tokens(shape) + shape.documents * (_LIST + _SLOT),
    "token_arrays": lambda shape: 2 * shape.tokens + shape.documents * _ARRAY,
    "array2": lambda shape: 2 * shape.tokens,
    "array4": lambda shape: 4 * shape.tokens,
    "array8": lambda shape: 8 * shape.tokens,
    "frame_csv": lambda _: 1.0,
    "frame_json": _frame_json,
    "frame_parquet": lambda _: 2.3,
    "table": lambda _: 2.5,
    "file_array": lambda _: 1.0,
    "pairs": lambda shape: shape.word_objects + shape.words * _PAIR,
    "matrix": lambda shape: shape.words * _CELL,
    "rows": lambda shape: shape.line_objects + shape.lines * _ROW,
    "tree": lambda shape: shape.document_objects + shape.lines * _ELEMENT,
    "dataset": lambda _: 0.0,
    "dataset_column": lambda shape: shape.document_objects,
}

# The most that each way takes meanwhile, its result included, where that is more than it holds.
_PEAK: Mapping[str, Callable[[TextShape], float]] = {
    "text": _read_peak,
    "json": lambda shape: max(_read_peak(shape), _text(shape) + _records(shape)),
    "tokens_whole": lambda shape: _tokens(shape) + shape.tokens * _RANK,
    "frame_csv": lambda _: 2.0,
    "frame_json": lambda shape: 1.0 + 2 * _text(shape) + 3.5 * shape.document_objects,
    "dataset_column": lambda shape: shape.document_objects + 1.0,
}
PEAK: Mapping[str, Callable[[TextShape], float]] = {**HELD, **_PEAK}
