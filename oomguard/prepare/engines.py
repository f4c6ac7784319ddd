"""What turns text into token ids: gigatoken, which is fast, and tiktoken, which is the reference.

Both give the ids of tiktoken's `encode_ordinary` for each document, and the end-of-text id where the text holds
the mark between two documents.
"""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Protocol

import numpy as np

from oomguard.prepare.encodings import EncodingSpec, load_tiktoken, read_ranks

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Tokens = npt.NDArray[np.uint32]


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
        """Encode in this thread. Raises: nothing."""
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
