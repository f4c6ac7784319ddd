"""What a stretch of a corpus holds that is read to tell the whole from, and its text as the encoder takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.errors import BadInput
from oomguard.preparation.encoding.zeros import not_text
from oomguard.text import printable
from oomguard.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.preparation.reading.source import Source


WINDOW = 16 * KIB
WINDOWS = 512
LONGEST_LINE = 256 * MIB
_MOST_REMOTE = 8  # files on servers
_MOST_FILES = 64  # of those that cannot be read at any place


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a corpus is looked at."""

    separator: bytes
    strict: bool


@dataclass(slots=True, kw_only=True)
class Window:
    """A stretch that was read. Units: bytes of the files, or of what they decompress to."""

    stands_for: float
    size: float  # equal to `stands_for`: it is all of it, which may be nothing
    texts: Sequence[bytes]  # what is encoded, each for itself
    ends: float  # of documents; a part of one, where a part of it is inside
    text_size: float  # of its `size`, what is text
    documents: Sequence[bytes] = ()  # whole ones that begin in it; none: the text has no such division
    cluster: int = -1  # windows with the same number were drawn together; -1: it was drawn for itself
    unseen: float = 0.0  # of `stands_for`: how much is behind what could be read
    packed: float = -1.0  # what it stands for of a compressed file; below 0: the file is none
    told: float = 1.0  # how many times as much it stands for by the size that the file itself ends with
    longest: int = 0  # bytes of the longest row of the pages that it is of


def of_text(data: bytes, look: Look) -> Window:
    """A window of text, divided where documents end."""
    texts = data.split(look.separator) if look.separator else [data]
    return Window(
        stands_for=0, size=len(data), texts=texts, ends=len(texts) - 1, text_size=len(data),
        documents=texts[1:-1] if look.separator else (),
    )  # fmt: skip


def from_word(data: bytes) -> tuple[bytes, int]:
    """Leave out the rest of a word or character that begins before."""
    near = data[:256]
    at = min((place for sign in (b"\n", b" ") if (place := near.find(sign)) >= 0), default=0)
    while at < min(len(data), 256) and data[at] & 0xC0 == 0x80:
        at += 1
    return data[at:], at


def as_utf8(source: Source, look: Look, data: bytes, *, at: int, cut: bool = False) -> bytes:
    """Give the text as the encoder takes it; `cut`: its end need not be that of a character."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        if cut and error.start >= len(data) - 3 and error.reason == "unexpected end of data":
            return data[: error.start]
        if not look.strict:
            return data.decode(errors="replace").encode()
        raise _no_utf8(source, data, at, error) from error
    return data


def _no_utf8(source: Source, data: bytes, at: int, error: UnicodeDecodeError) -> BadInput:
    name = printable(source.path)
    if (what := not_text(data, is_first=at == 0)) not in ("", "zeros", "tar"):
        return BadInput(f"{name}: byte 0: not UTF-8: it looks like {what}", do=f"--input-encoding {what}")
    return BadInput(
        f"{name}: byte {at + error.start}: not UTF-8",
        do="--errors replace (puts U+FFFD in its place) or --errors skip (leaves it out)",
    )


def part_of(text: bytes, begin: float, share: float) -> bytes:
    """A part of a text, between characters."""
    if share >= 1:
        return text
    low, high = int(begin * len(text)), int((begin + share) * len(text))
    while low < len(text) and text[low] & 0xC0 == 0x80:
        low += 1
    while high < len(text) and text[high] & 0xC0 == 0x80:
        high += 1
    return text[low:high]


def some_of(sources: Sequence[Source]) -> tuple[list[Source], float]:
    """Give files at even distances, and how many times their bytes all have."""
    everything = sum(source.size or 0 for source in sources)
    most = _MOST_REMOTE if any(source.is_remote for source in sources) else _MOST_FILES
    step = -(-len(sources) // most) or 1
    chosen = list(sources[step // 2 :: step])
    taken = sum(source.size or 0 for source in chosen)
    return chosen, everything / taken if taken else 1.0
