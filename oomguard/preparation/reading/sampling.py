"""Look at a corpus in a second: all of it where it is small, else stretches from all over it, encoded."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from oomguard.errors import BadInput, NothingFound
from oomguard.preparation.encoding.encodings import find_rank_file
from oomguard.preparation.encoding.load_engine import load_engine
from oomguard.preparation.reading.corpus_sample import CorpusSample, describe_corpus
from oomguard.preparation.reading.sample_windows import Look, read_whole, sample_windows
from oomguard.preparation.reading.text_shape import SMALL_INT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from oomguard.preparation.encoding.encodings import EncodingSpec
    from oomguard.preparation.reading.source import Source

_SPARE = 64  # tokens of room that the core wants beyond one a byte
_SCRATCH_PER_BYTE = 40  # of memory for a long word


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
    look = Look(separator=separator, strict=strict)
    windows = read_whole(sources, look) or sample_windows(sources, look)
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
