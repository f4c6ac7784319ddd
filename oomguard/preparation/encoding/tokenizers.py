"""What turns text into token ids: the native core, which is fast, and tiktoken, which is the reference.

Both give the ids of tiktoken's `encode_ordinary` for each document, into memory of the caller's.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

from oomguard.preparation.encoding.cutting import split_pieces
from oomguard.preparation.encoding.encodings import EncodingSpec, load_tiktoken
from oomguard.preparation.encoding.safe_cuts import last_safe_cut
from oomguard.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class BadUtf8(Exception):
    """Carries where in the text the first invalid byte is."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


class NeedsRoom(Exception):
    """A word needs more memory than was given; carries how much, and where the word begins."""

    def __init__(self, size: int, at: int) -> None:
        super().__init__(size, at)
        self.size, self.at = size, at


class EngineCannotEncode(Exception):
    """tiktoken gave up on a text."""


class Engine(Protocol):
    """Encodes text into `tokens`, an array of 2 or 4 bytes an item, and notes where documents end in `ends`, of 8.

    `ends` may be empty: then documents are only counted; `before` is added to each. `eot` is written behind each
    document that ends; -1: nothing. `scratch` is the most memory that may be taken for a long word, in bytes.
    """

    name: str

    def encode(
        self, text: Any, *, mark: bytes, eot: int, tokens: memoryview, ends: memoryview, before: int, scratch: int
    ) -> tuple[int, int]:
        """Give the tokens written, and the documents that ended: each `mark` ends one, the end of `text` does not.

        Raises: BadUtf8; NeedsRoom; EngineCannotEncode.
        """
        ...

    def encode_documents(
        self, text: Any, offsets: Sequence[int], *, eot: int, tokens: memoryview, ends: memoryview, before: int,
        scratch: int,
    ) -> int:  # fmt: skip
        """Give the tokens of documents that stand one behind the other, from offset to offset.

        Raises: as `encode`.
        """
        ...


class DocumentEngine:
    """An engine of one document at a time: what divides documents, and where each ends, is seen to here."""

    def document(self, document: bytes, at: int, tokens: memoryview, count: int, scratch: int) -> int:
        """Put the tokens of well-formed text behind the `count` that are there; gives how many there are then.

        It stands at byte `at` of what is encoded. Raises: as `Engine.encode`.
        """
        raise NotImplementedError

    def encode(
        self, text: Any, *, mark: bytes, eot: int, tokens: memoryview, ends: memoryview, before: int, scratch: int
    ) -> tuple[int, int]:
        """Encode as `Engine` says."""
        data = bytes(text)
        require_utf8(data)
        count, at, parts = 0, 0, data.split(mark) if mark else [data]
        for number, part in enumerate(parts):
            count = self.document(part, at, tokens, count, scratch)
            at += len(part) + len(mark)
            if number < len(parts) - 1:
                count = end_document(number, eot, tokens, ends, count, before)
        return count, len(parts) - 1

    def encode_documents(
        self, text: Any, offsets: Sequence[int], *, eot: int, tokens: memoryview, ends: memoryview, before: int,
        scratch: int,
    ) -> int:  # fmt: skip
        """Encode as `Engine` says."""
        count = 0
        for number, (start, stop) in enumerate(pairwise(offsets)):
            document = bytes(text[start:stop])
            try:
                require_utf8(document)
            except BadUtf8 as bad:
                raise BadUtf8(start + bad.at) from None
            count = self.document(document, start, tokens, count, scratch)
            count = end_document(number, eot, tokens, ends, count, before)
        return count


class ReferenceEngine(DocumentEngine):
    """A library that makes a list of ids of a document, a stretch at a time where the document may be cut."""

    name: str
    cost: int  # bytes of memory that it takes for each byte of text
    stretch: int  # bytes of text that it gets at once, where the text may be cut

    def __init__(self, spec: EncodingSpec) -> None:
        self._cut = partial(last_safe_cut, family=spec.family)

    def ids(self, text: bytes) -> list[int]:
        """Give the ids of well-formed text. Raises: EngineCannotEncode."""
        raise NotImplementedError

    def document(self, document: bytes, at: int, tokens: memoryview, count: int, scratch: int) -> int:
        """Encode as `DocumentEngine` says."""

        def read(start: int, length: int) -> bytes:
            return document[start : start + length]

        for stretch in split_pieces(read, self._cut, size=len(document), target=lambda: self.stretch):
            if len(stretch) > 2 * self.stretch and self.cost * len(stretch) > scratch:
                raise NeedsRoom(self.cost * len(stretch), at)
            for token in self.ids(stretch):
                tokens[count] = token
                count += 1
            at += len(stretch)
        return count


class TiktokenEngine(ReferenceEngine):
    """tiktoken, whose tokens are those of a rank file."""

    name = "tiktoken"
    cost = 40  # 38 for a text that is one word
    stretch = 256 * KIB

    def __init__(self, spec: EncodingSpec, file: Path) -> None:
        super().__init__(spec)
        self._encoding = load_tiktoken(spec, file)
        self._first_id = spec.first_id

    def ids(self, text: bytes) -> list[int]:
        """Give the ids of well-formed text. Raises: EngineCannotEncode."""
        try:
            ids = self._encoding.encode_ordinary(text.decode())
        except BaseException as error:
            # A million spaces overflow its regular expression's stack: ValueError, or a PanicException, which is
            # no Exception.
            if type(error).__name__ not in ("ValueError", "PanicException"):
                raise
            raise EngineCannotEncode from error
        return [token + self._first_id for token in ids] if self._first_id else ids


def end_document(number: int, eot: int, tokens: memoryview, ends: memoryview, count: int, before: int) -> int:
    """Note that document `number` ends after `count` tokens, and give how many there are then."""
    if eot >= 0:
        tokens[count] = eot
        count += 1
    if len(ends):
        ends[number] = before + count
    return count


def require_utf8(data: bytes) -> None:
    """Raise BadUtf8 for text that is not well-formed."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise BadUtf8(error.start) from error


USUAL_SCRATCH = MIB  # for long words, that an engine may take without asking
