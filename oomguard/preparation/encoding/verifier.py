"""The reference looks over the core's shoulder: a sample of the text is encoded a second time while the job runs."""

from __future__ import annotations

import sys
import time
from array import array
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oomguard.preparation.encoding.cutting import split_pieces
from oomguard.preparation.encoding.load_engine import load_reference
from oomguard.preparation.encoding.safe_cuts import Separators, last_safe_cut
from oomguard.preparation.encoding.tokenizers import EngineCannotEncode, ReferenceEngine
from oomguard.preparation.engines.allocators import give_back
from oomguard.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from oomguard.preparation.encoding.encodings import EncodingSpec
    from oomguard.preparation.engines.messages import Verify

_STRETCH = 64 * KIB  # of text that is compared at a time
_FIRST = 32 * KIB  # of the first sample
_MOST = MIB  # of any
_REFERENCE_SPEED = 10 * MIB  # bytes that tiktoken encodes in a second
_LONGEST_COMPARED = MIB  # a longer stretch is one word, on which tiktoken takes 38 bytes of memory a byte
_LONGEST_SAMPLED = 128 * KIB  # for a sample no such memory is planned
_COST = 0.01  # of the worker's time goes into samples


class EngineDiffers(Exception):
    """The two gave different ids; carries both, and how far into the text they agree."""

    def __init__(self, what: str, at: int) -> None:
        super().__init__(what)
        self.at = at


class Verifier:
    """Compares the tokens of chunks with the reference's."""

    def __init__(self, mode: Verify, spec: EncodingSpec, rank_file: str, *, engine: str) -> None:
        """`engine` names what is compared; the reference is not compared with itself."""
        self._mode = mode if engine != spec.reference else "off"
        self._spec = spec
        self._engine = engine
        self._load = partial(load_reference, spec, Path(rank_file))
        self._reference: ReferenceEngine | None = None
        self._typecode = "H" if spec.token_bytes == 2 else "I"
        self._began = time.monotonic()
        self._spent = 0.0
        self.documents = 0  # of which a part was compared
        self.bytes = 0  # of the input

    def is_due(self) -> bool:
        """Whether the next chunk is compared. A sample takes a hundredth of the time."""
        if self._mode == "off":
            return False
        return self._mode == "full" or self._spent <= _COST * (time.monotonic() - self._began)

    def look_at_text(self, text: Any, tokens: memoryview, *, mark: bytes, eot: int) -> None:
        """Compare a text in which each `mark` ends a document.

        Raises: EngineDiffers if the ids are not the same.
        """
        self._compare(((None, stretch) for stretch in self._stretches(text, mark)), tokens, mark=mark, eot=eot)

    def look_at_documents(self, text: Any, offsets: Sequence[int], tokens: memoryview, *, eot: int) -> None:
        """Compare documents that stand one behind the other.

        Raises: EngineDiffers if the ids are not the same.
        """

        def stretches() -> Iterator[tuple[int | None, bytes]]:
            for start, stop in pairwise(offsets):
                parts = list(self._stretches(text[start:stop], b"")) or [b""]
                yield from ((None, part) for part in parts[:-1])
                yield eot, parts[-1]

        self._compare(stretches(), tokens, mark=b"", eot=eot)

    def _stretches(self, text: Any, mark: bytes) -> Iterator[bytes]:
        def read(start: int, length: int) -> bytes:
            return bytes(text[start : start + length])

        cut = partial(last_safe_cut, family=self._spec.family, separator=mark)
        size = _FIRST if self._mode == "sample" and not self._spent else _STRETCH
        ends = Separators(mark) if mark else None
        return split_pieces(read, cut, size=len(text), target=lambda: size, separators=ends)

    def _compare(
        self, stretches: Iterable[tuple[int | None, bytes]], tokens: memoryview, *, mark: bytes, eot: int
    ) -> None:
        """Compare stretch by stretch.

        tiktoken leaves holes in malloc's heap that nothing else fits into: 15 MiB after 30 MB of text, of which 14 can
        be given back, at 0.3 ms for each stretch.
        """
        began = time.monotonic()
        if self._reference is None:
            self._reference = self._load()
            began = time.monotonic()  # loading is paid once
        most = self._most_bytes()
        at = position = given_back = 0
        for end, stretch in stretches:
            try:
                expected = self._expected(stretch, end, mark=mark, eot=eot)
            except EngineCannotEncode:
                break  # nor is what comes behind, whose place among the tokens is not known
            got = tokens[position : position + len(expected)]
            if got.tobytes() != expected.tobytes():
                raise EngineDiffers(self._words(got.tolist(), expected.tolist(), len(stretch)), at)
            position += len(expected)
            at += len(stretch)
            self.documents += (stretch.count(mark) if mark else 0) + 1
            self.bytes += len(stretch)
            if at - given_back >= _STRETCH:
                given_back = at
                give_back()
            if at >= most:
                break
        give_back()
        self._spent += time.monotonic() - began

    def _most_bytes(self) -> int:
        """How much of a chunk is compared: little at first, since a short run is not to wait for it."""
        if self._mode == "full":
            return sys.maxsize
        return max(_FIRST, min(_MOST, int(_COST * (time.monotonic() - self._began) * _REFERENCE_SPEED)))

    def _expected(self, stretch: bytes, end: int | None, *, mark: bytes, eot: int) -> array[int]:
        assert self._reference is not None
        if len(stretch) > (_LONGEST_COMPARED if self._mode == "full" else _LONGEST_SAMPLED):
            raise EngineCannotEncode
        expected = array(self._typecode)
        for number, part in enumerate(stretch.split(mark) if mark else [stretch]):
            if number and eot >= 0:
                expected.append(eot)
            expected.extend(self._reference.ids(part))
        if end is not None and end >= 0:
            expected.append(end)
        return expected

    def _words(self, got: list[int], expected: list[int], size: int) -> str:
        at = next(
            (i for i, (a, b) in enumerate(zip(got, expected, strict=False)) if a != b), min(len(got), len(expected))
        )
        return (
            f"token {at} of a stretch of {size} bytes: {self._engine} {got[at : at + 4]}, "
            f"{self._spec.reference} {expected[at : at + 4]}"
        )
