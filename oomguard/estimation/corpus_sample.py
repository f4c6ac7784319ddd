"""What a corpus is like, told from pieces of it: how much text, how many tokens, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from oomguard.script_analysis.text_shape import character_width, measure_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from oomguard.script_analysis.text_shape import TextShape

_SURE = 2.6  # standard errors: 99 of 100 samples
_UNSEEN = 0.1  # how far the rest may differ where only the beginning could be read


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplePiece:
    """Some documents that stand together. Units: bytes."""

    documents: tuple[str, ...]
    taken: int  # of the file, or of the text where it is decompressed
    text: str | None = None  # with what stands between the documents, where that is text, too

    @property
    def texts(self) -> tuple[str, ...]:
        """What is encoded."""
        return self.documents if self.text is None else (self.text,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number, and between which two it is. Equal ends: it was counted, not estimated."""

    value: int
    low: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusSample:
    """A corpus, from pieces of it."""

    disk_bytes: int
    text_bytes: Estimate
    tokens: Estimate
    documents: int  # about so many
    sampled_bytes: int  # of text
    widest_character: str  # of the pieces
    shape: TextShape
    seconds_to_encode: float  # a byte of text, one worker
    from_start: bool  # only beginnings of files could be read: they are compressed

    @property
    def bytes_per_token(self) -> float:
        """Bytes of text for each token."""
        return self.text_bytes.value / self.tokens.value if self.tokens.value else 0.0


def describe_corpus(
    pieces: Sequence[SamplePiece], *, of_bytes: int, disk_bytes: int, counted: bool, from_start: bool,
    widest: str, count: Callable[[str], tuple[int, int]], seconds: Callable[[], float],
) -> CorpusSample:  # fmt: skip
    """Estimate the whole from the pieces, whose `taken` bytes are a sample of `of_bytes`.

    `counted`: the text is the file itself, so its size is known. Raises: ValueError if no piece holds text.
    """
    documents = [document for piece in pieces for document in piece.documents]
    shape = measure_shape(documents, count)
    if widest > max(map(max, filter(None, documents)), default=""):
        shape = replace(shape, widest=max(shape.widest, character_width(widest)))
    else:
        widest = max(map(max, filter(None, documents)))
    text = [sum(len(one.encode(errors="replace")) for one in piece.texts) for piece in pieces]
    tokens = [sum(count(one)[0] for one in piece.texts) for piece in pieces]
    taken = [piece.taken for piece in pieces]
    unseen = _UNSEEN if from_start else 0.0
    text_bytes = (
        Estimate(value=of_bytes, low=of_bytes, high=of_bytes) if counted else _scaled(text, taken, of_bytes, unseen)
    )
    return CorpusSample(
        disk_bytes=disk_bytes,
        text_bytes=text_bytes,
        tokens=_scaled(tokens, taken, of_bytes, unseen),
        documents=round(len(documents) * of_bytes / max(1, sum(taken))),
        sampled_bytes=sum(text),
        widest_character=widest,
        shape=shape,
        seconds_to_encode=seconds(),
        from_start=from_start,
    )


def _scaled(found: Sequence[int], taken: Sequence[int], of_bytes: int, unseen: float) -> Estimate:
    """A ratio estimate with its standard error (Cochran, Sampling Techniques, 6.3), for the whole."""
    total = sum(taken)
    ratio = sum(found) / total
    value = ratio * of_bytes
    if total >= of_bytes:
        return Estimate(value=round(value), low=round(value), high=round(value))
    several = len(found)
    error = unseen
    if several > 1 and ratio:
        variance = sum((f - ratio * t) ** 2 for f, t in zip(found, taken, strict=True)) / (several - 1)
        error += _SURE * math.sqrt(variance / several) / (total / several) / ratio * math.sqrt(1 - total / of_bytes)
    return Estimate(value=round(value), low=max(0, round(value * (1 - error))), high=round(value * (1 + error)))
