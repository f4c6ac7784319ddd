"""What a corpus is like, told from windows into it: how much text, how many tokens, and how sure that is."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from oomguard.errors import BadInput, NothingFound
from oomguard.preparation.encoding.encodings import find_rank_file
from oomguard.preparation.encoding.load_engine import load_engine
from oomguard.preparation.reading.sample_windows import read_whole, sample_windows
from oomguard.preparation.reading.text_shape import SMALL_INT, character_width, measure_shape
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from oomguard.preparation.encoding.encodings import EncodingSpec
    from oomguard.preparation.reading.sample_parts import Window
    from oomguard.preparation.reading.source import Source
    from oomguard.preparation.reading.text_shape import TextShape

_SURE = 2.6  # standard errors: 99 of 100 samples, where they are normal
_FEW = 3.0  # of few windows the standard error is uncertain itself
_LEAST = 0.003  # a sample is never surer than that: a window may begin within a word
_UNSEEN = 0.15  # how far the rest may differ where only the beginning could be read, if that is the same throughout;
# else as far as the most different of so many parts of the beginning does, each large beside what is unpacked at once
_SEGMENTS, _SEGMENT = 8, 2 * MIB
_SHAPE_TEXT = 2 * MIB  # of documents that the shape is measured on
_BLANK_LINES = re.compile(r"\n[ \t]*\n")
_SPARE = 64  # tokens of room that the core wants beyond one a byte
_SCRATCH_PER_BYTE = 40  # of memory for a long word


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number, and between which two it is. Equal ends: it was counted, not estimated."""

    value: int
    low: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusSample:
    """A corpus, from windows into it."""

    disk_bytes: int
    text_bytes: Estimate
    tokens: Estimate
    tokens_with_ends: Estimate  # with one more for the end of each document, as `prepare` divides them
    documents: int  # about so many; of a text without a separator, what is between blank lines
    longest_document: int  # bytes of the longest line or row that a window was in, about; 0: none was met
    sampled_bytes: int  # of text
    widest_character: str  # of the windows
    shape: TextShape
    seconds_to_encode: float  # a byte of text, one worker
    from_start: bool  # only beginnings of files could be read: they are compressed

    @property
    def is_whole(self) -> bool:
        """Whether all of it was read."""
        return self.tokens.low == self.tokens.high

    @property
    def bytes_per_token(self) -> float:
        """Bytes of text for each token."""
        return self.text_bytes.value / self.tokens.value if self.tokens.value else 0.0


def describe_corpus(
    windows: Sequence[Window], *, disk_bytes: int, count: Callable[[bytes], int],
    count_with_large: Callable[[str], tuple[int, int]], seconds: Callable[[], float],
) -> CorpusSample:  # fmt: skip
    """Estimate the whole from windows; from all of it, count it. Raises: ValueError if no window holds text."""
    tokens = [float(sum(map(count, window.texts))) for window in windows]
    with_ends = [found + window.ends for found, window in zip(tokens, windows, strict=True)]
    paragraphs, widest = _paragraphs(windows)
    documents = list(_some_documents(windows))
    shape = measure_shape(documents, count_with_large)
    divided = sum(_factor(one) * found for one, found in zip(windows, paragraphs, strict=True))
    shape = replace(shape, widest=max(shape.widest, character_width(widest)))
    return CorpusSample(
        disk_bytes=disk_bytes,
        text_bytes=_scaled(windows, [window.text_size for window in windows]),
        tokens=_scaled(windows, tokens),
        tokens_with_ends=_scaled(windows, with_ends),
        documents=round(divided),
        longest_document=round(
            max((max(one.longest, one.size / one.ends) for one in windows if one.size and one.ends), default=0)
        ),
        sampled_bytes=sum(len(text) for window in windows for text in window.texts),
        widest_character=widest,
        shape=shape,
        seconds_to_encode=seconds(),
        from_start=any(window.unseen for window in windows),
    )


def _paragraphs(windows: Sequence[Window]) -> tuple[list[float], str]:
    """Give about how many documents there are in each window, and the widest character of all."""
    found: list[float] = []
    widest = ""
    for window in windows:
        texts = [text.decode(errors="replace") for text in window.texts]
        for text in texts:
            if not text.isascii() or not widest:
                widest = max(widest, max(text, default=""))
        undivided = not window.documents and len(texts) == 1
        found.append(sum(len(_BLANK_LINES.findall(text)) for text in texts) + 1 if undivided else window.ends)
    if windows and all(window.size == window.stands_for for window in windows):
        return found, widest
    # A window of an undivided text begins and ends within what blank lines divide.
    return [max(0.0, one - 1) if not w.documents and len(w.texts) == 1 else one
            for one, w in zip(found, windows, strict=True)], widest  # fmt: skip


def _some_documents(windows: Sequence[Window]) -> Iterator[str]:
    """Documents from all over the windows, with some MiB of text together."""
    all_text = sum(len(text) for window in windows for text in window.texts)
    share = min(1.0, _SHAPE_TEXT / max(1, all_text))
    given = seen = 0.0
    for window in windows:
        for document in window.documents or window.texts:
            parts = [document.decode(errors="replace")]
            if not window.documents:
                parts = [part for part in _BLANK_LINES.split(parts[0]) if part] or parts
            for part in parts:
                seen += len(part) * share
                if part and given <= seen:
                    given += len(part)
                    yield part


def _factor(window: Window) -> float:
    """How often what it holds is there in all that it stands for."""
    return window.stands_for / window.size if window.size else 1.0


def _scaled(windows: Sequence[Window], found: Sequence[float]) -> Estimate:
    """Give the sum over all that the windows stand for, and how sure it is.

    The variance is that of differences between neighbours (Wolter, Introduction to Variance Estimation, 8.2): windows
    are drawn from parts that follow each other, so that what differs between distant parts is no uncertainty.
    """
    parts = [_factor(window) * one for window, one in zip(windows, found, strict=True)]
    value = sum(parts)
    everything = sum(window.stands_for for window in windows)
    read = sum(window.size for window in windows)
    if read >= everything or not value:
        return Estimate(value=round(value), low=round(value), high=round(value))
    if all(abs(window.size - one) < 1e-6 for window, one in zip(windows, found, strict=True)) and not any(
        window.unseen for window in windows
    ):
        return Estimate(value=round(value), low=round(value), high=round(value))  # the file itself is the text
    ratio = value / everything
    off: dict[int, float] = {}
    for number, (window, part) in enumerate(zip(windows, parts, strict=True)):
        drawn = window.cluster if window.cluster >= 0 else -number - 1
        off[drawn] = off.get(drawn, 0.0) + part - ratio * window.stands_for
    several = list(off.values())
    error = _LEAST * value
    if len(several) > 1:
        squares = sum((a - b) ** 2 for a, b in pairwise(several))
        variance = len(several) * squares / (2 * (len(several) - 1)) * (1 - read / everything)
        error += _SURE * (1 + _FEW / len(several)) * math.sqrt(variance)
    else:
        error += _UNSEEN * value
    unseen = sum(part * window.unseen for window, part in zip(windows, parts, strict=True))
    if unseen:
        error += max(_UNSEEN, _difference(windows, parts)) * unseen
    # By what the files say of themselves; but that may be of their last part alone, so the sample counts as well.
    told = sum(window.told * part for window, part in zip(windows, parts, strict=True))
    low, high = min(value, told) - error, max(value, told) + error
    return Estimate(value=round(told), low=max(0, round(low)), high=round(high))


def _difference(windows: Sequence[Window], parts: Sequence[float]) -> float:
    """How far, as a fraction, the part of the files differs from all that was read that differs most.

    What is behind it is told from the bytes of the files, so it is for each of these that the parts are compared: by
    how well they are compressed, and what they hold.
    """
    sizes = [(one.packed if one.packed >= 0 else one.stands_for) if one.unseen else 0.0 for one in windows]
    everything = sum(sizes)
    read = sum(size * (1 - one.unseen) for size, one in zip(sizes, windows, strict=True))
    segments = max(1, min(_SEGMENTS, int(read / _SEGMENT)))
    held, taken = [0.0] * segments, [0.0] * segments
    before = 0.0
    for window, part, size in zip(windows, parts, sizes, strict=True):
        if window.unseen:
            segment = min(segments - 1, int(before * segments / everything)) if everything else 0
            held[segment] += part
            taken[segment] += size
            before += size
    usual = sum(held) / everything if everything else 0.0
    return max(
        (abs(one / size / usual - 1) for one, size in zip(held, taken, strict=True) if size and usual), default=0
    )


# Look at a corpus in a second: all of it where it is small, else stretches from all over it, encoded.


def sample_corpus(
    sources: Sequence[Source], *, spec: EncodingSpec, text_field: str | None = None, separator: bytes = b"",
    strict: bool = False,
) -> CorpusSample:  # fmt: skip
    """Count text, tokens and shape of a corpus where it is small, else estimate them from a few MiB of it.

    `separator` divides documents in text; without it a file is one, and for the shape alone blank lines divide it.
    `strict` refuses what `prepare` refuses, in its words; else such lines, rows and bytes are passed over.
    Raises: NothingFound if there is no text in what was looked at; BadInput if it cannot be read, or is a stream.
    """
    if any(source.size is None for source in sources):
        raise BadInput(
            "standard input can be read only once, so it cannot be sampled", do="save it in a file, then name the file"
        )
    if text_field is not None:
        sources = [replace(source, text_field=text_field) for source in sources]
    windows = read_whole(sources, separator=separator, strict=strict)
    windows = windows or sample_windows(sources, separator=separator, strict=strict)
    if not any(text for window in windows for text in window.texts):
        raise NothingFound(
            "no text was found in the part of the input that was sampled", do="oomguard prepare --help: --text-field"
        )
    counter = _Counter(spec, find_rank_file(spec))
    return describe_corpus(
        windows,
        disk_bytes=sum(source.size or 0 for source in sources),
        count=counter.count,
        count_with_large=counter.count_with_large,
        seconds=counter.seconds_a_byte,
    )


class _Counter:
    """Counts tokens, and takes the time: loading and the first words are not in it."""

    def __init__(self, spec: EncodingSpec, rank_file: Path) -> None:
        self._engine = load_engine(spec, rank_file)
        self._dtype = np.dtype(f"u{spec.token_bytes}")
        self._room = memoryview(bytearray())
        self._bytes = self._seconds = 0.0

    def count(self, text: bytes) -> int:
        began = time.process_time()  # of the CPU: another program that has it makes the text no slower to encode
        tokens = self._encode(text)
        self._seconds += time.process_time() - began
        self._bytes += len(text)
        return len(tokens)

    def count_with_large(self, document: str) -> tuple[int, int]:
        """Give how many tokens there are, and how many of them are no small int of Python's."""
        tokens = self._encode(document.encode(errors="replace"))
        return len(tokens), int(np.count_nonzero(tokens > SMALL_INT))

    def _encode(self, text: bytes) -> npt.NDArray[np.uint32]:
        size = (len(text) + _SPARE) * self._dtype.itemsize
        if len(self._room) < size:
            self._room = memoryview(bytearray(size))
        room = self._room.cast("H" if self._dtype.itemsize == 2 else "I")
        count, _ = self._engine.encode(
            text, mark=b"", eot=-1, tokens=room, ends=memoryview(b""), before=0, scratch=_SCRATCH_PER_BYTE * len(text)
        )
        return np.frombuffer(room, self._dtype, count)

    def seconds_a_byte(self) -> float:
        return self._seconds / self._bytes if self._bytes else 0.0
