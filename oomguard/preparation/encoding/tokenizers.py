"""What turns text into token ids: gigatoken, which is fast, and tiktoken, which is the reference.

Both give the ids of tiktoken's `encode_ordinary` for each document, and the end-of-text id where the text holds
the mark between two documents.
"""

from __future__ import annotations

import base64
import os
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from oomguard.preparation.encoding.cutting import split_pieces
from oomguard.preparation.encoding.encodings import EncodingSpec, load_tiktoken, read_ranks
from oomguard.preparation.encoding.new_characters import holds_new_characters
from oomguard.preparation.encoding.safe_cuts import last_safe_cut

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Tokens = npt.NDArray[np.uint32]


_PART_BYTES = 1 << 12  # around what gigatoken does not know, so that the slow engine gets little


class Engine(Protocol):
    """Encodes well-formed UTF-8."""

    def encode(self, text: bytes) -> Tokens:
        """Give the ids, uint32[token_count]; each mark in `text` is one `eot`."""
        ...

    def renew(self) -> None:
        """Give back the memory of what was learned from the text so far."""
        ...


class GigatokenEngine:
    """gigatoken 0.10: its cache of pretokens grows for ever (190 bytes a new word), so it can be renewed (0.08 s)."""

    def __init__(self, spec: EncodingSpec, rank_file: Path, *, mark: bytes) -> None:
        self._spec = spec
        # A special token outside the ranks stands for the mark; all other special tokens are off, so that a literal
        # <|endoftext|> in a document stays text.
        self._mark_id = spec.eot if spec.gap is None else spec.vocabulary_size
        self._marks = {mark.decode(): self._mark_id} if mark else {}
        self._rank_file = _DenseRanks(rank_file, gap=spec.gap)
        self._cut = partial(last_safe_cut, family=spec.family, separator=mark)
        self._make_reference = partial(TiktokenEngine, spec, rank_file, mark=mark)
        self._reference: TiktokenEngine | None = None
        self.renew()

    def renew(self) -> None:
        """Load the tokenizer anew."""
        import gigatoken

        # The old one is freed first: both at once would be twice the memory.
        self._tokenizer: gigatoken.Tokenizer | None = None
        self._tokenizer = gigatoken.Tokenizer.from_tiktoken(
            self._rank_file.path, pretokenizer=self._spec.family, special_tokens=self._marks
        )

    def encode(self, text: bytes) -> Tokens:
        """Encode in this thread; what gigatoken's Unicode does not know yet is tiktoken's.

        Raises: EngineCannotEncode, as tiktoken's.
        """
        if holds_new_characters(text):
            return self._encode_by_parts(text)
        return self._encode_known(text)

    def _encode_by_parts(self, text: bytes) -> Tokens:
        if self._reference is None:
            self._reference = self._make_reference()

        def read(start: int, length: int) -> bytes:
            return text[start : start + length]

        return np.concatenate(
            [
                self._reference.encode(part) if holds_new_characters(part) else self._encode_known(part)
                for part in split_pieces(read, self._cut, size=len(text), target=lambda: _PART_BYTES)
            ]
        )

    def _encode_known(self, text: bytes) -> Tokens:
        assert self._tokenizer is not None
        # One thread is what `encode` uses; encode_batch would import awkward (27 MB) and run half as fast.
        tokens = self._tokenizer.encode(text)
        if self._mark_id != self._spec.eot:
            tokens[tokens == self._mark_id] = self._spec.eot
        return tokens


class _DenseRanks:
    """A rank file without a gap, which gigatoken refuses.

    A word fills it that no text can hold: the split patterns part a letter from a digit. The file lives in memory
    as long as this object.
    """

    def __init__(self, rank_file: Path, *, gap: int | None) -> None:
        self.path = str(rank_file)
        self._fd = -1
        if gap is None:
            return
        words = {rank: word for word, rank in read_ranks(rank_file).items()} | {gap: b"a1"}
        self._fd = os.memfd_create("oomguard-ranks")
        self.path = f"/proc/self/fd/{self._fd}"
        with open(self._fd, "wb", closefd=False) as file:
            file.writelines(b"%s %d\n" % (base64.b64encode(words[rank]), rank) for rank in sorted(words))

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


class TiktokenEngine:
    """tiktoken, a document at a time."""

    def __init__(self, spec: EncodingSpec, rank_file: Path, *, mark: bytes) -> None:
        self._eot = np.array([spec.eot], np.uint32)
        self._mark = mark
        self._encoding = load_tiktoken(spec, rank_file)

    def renew(self) -> None:
        """Do nothing: tiktoken keeps nothing."""

    def encode(self, text: bytes) -> Tokens:
        """Encode in this thread. Raises: EngineCannotEncode."""
        documents = text.split(self._mark) if self._mark else [text]
        parts: list[Tokens] = []
        for document in documents:
            parts += [self._encode_document(document), self._eot]
        return np.concatenate(parts[:-1])

    def _encode_document(self, document: bytes) -> Tokens:
        try:
            return self._encoding.encode_to_numpy(document.decode(), disallowed_special=())
        except BaseException as error:
            # A million spaces overflow its regular expression's stack: ValueError, or a PanicException, which is
            # no Exception.
            if type(error).__name__ not in ("ValueError", "PanicException"):
                raise
            raise EngineCannotEncode from error


class EngineCannotEncode(Exception):
    """tiktoken gave up on a document; gigatoken can still do it."""


def make_engine(spec: EncodingSpec, rank_file: Path, *, mark: bytes) -> Engine:
    """Give the fastest engine that is installed."""
    try:
        return GigatokenEngine(spec, rank_file, mark=mark)
    except ImportError:
        return TiktokenEngine(spec, rank_file, mark=mark)
