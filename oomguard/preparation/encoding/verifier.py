"""tiktoken looks over gigatoken's shoulder: a sample of the text is encoded a second time while the job runs."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from oomguard.preparation.encoding.tokenizers import EngineCannotEncode, TiktokenEngine

if TYPE_CHECKING:
    from oomguard.preparation.encoding.encodings import EncodingSpec
    from oomguard.preparation.encoding.tokenizers import Tokens
    from oomguard.preparation.engines.messages import EncoderConfig

PROBE_BYTES = 1 << 15
_LONGEST_COMPARED = 1 << 20  # a longer stretch is one word, on which tiktoken takes 38 bytes of memory a byte
_COST = 0.01  # of the encoder's time goes into a sample


class EngineDiffers(Exception):
    """The two gave different ids; carries both."""


class Verifier:
    """Compares pairs of neighbouring stretches, encoded apart, with the reference on both at once.

    So the place where the text was cut is tested with the encoder.
    """

    def __init__(self, config: EncoderConfig, spec: EncodingSpec, mark: bytes) -> None:
        self._mode = config.verify
        self._mark = mark
        self._load = partial(TiktokenEngine, spec, Path(config.rank_file), mark=mark)
        self._reference: TiktokenEngine | None = None
        if self._mode == "full":
            self.load()  # every process will use it: those that are forked later share it
        self._began = time.monotonic()
        self._spent = 0.0
        self._first: tuple[bytes, Tokens] | None = None
        self._documents = 0
        self._bytes = 0

    @property
    def needs_loading(self) -> bool:
        """Whether it will look at text and has no reference yet."""
        return self._mode != "off" and self._reference is None

    def load(self) -> None:
        """Load the reference."""
        self._reference = self._load()

    def be_forked(self, *, verify: bool) -> None:
        """Go on as a process that has just been forked, which looks at its own text or at none."""
        if not verify:
            self._mode = "off"
        self._began, self._spent, self._first = time.monotonic(), 0.0, None

    def counts(self) -> tuple[int, int]:
        """Documents of which a part was compared, and bytes."""
        return self._documents, self._bytes

    def is_due(self) -> bool:
        """Whether the next stretch is looked at. A sample takes a hundredth of the time."""
        if self._mode != "sample":
            return False
        return self._first is not None or self._spent <= _COST * (time.monotonic() - self._began)

    def look_at(self, text: bytes, tokens: Tokens) -> None:
        """Compare this stretch and the one before, if a comparison is due.

        Raises: EngineDiffers if the ids are not the same.
        """
        if (self._mode != "full" and not self.is_due()) or len(text) > _LONGEST_COMPARED:
            return
        if self._first is None:
            # A copy, because the caller's array may be a view into what is reused.
            self._first = (text, np.array(tokens, np.uint32))
            return
        began = time.monotonic()
        (first_text, first_tokens), self._first = self._first, None
        self._compare(first_text + text, np.concatenate([first_tokens, tokens]))
        self._spent += time.monotonic() - began

    def finish_piece(self) -> None:
        """Compare what still waits for a neighbour: pieces are not neighbours in the text."""
        if self._first is not None:
            (text, tokens), self._first = self._first, None
            self._compare(text, tokens)

    def _compare(self, text: bytes, tokens: Tokens) -> None:
        if self._reference is None:
            self.load()
        assert self._reference is not None
        try:
            expected = self._reference.encode(text)
        except EngineCannotEncode:
            return  # a text that stops tiktoken cannot be compared
        if not np.array_equal(tokens, expected):
            differs = np.flatnonzero(tokens[: len(expected)] != expected[: len(tokens)])
            at = int(differs[0]) if len(differs) else min(len(tokens), len(expected))
            raise EngineDiffers(
                f"token {at} of a stretch of {len(text)} bytes: "
                f"gigatoken {tokens[at : at + 4].tolist()}, tiktoken {expected[at : at + 4].tolist()}"
            )
        self._documents += (text.count(self._mark) if self._mark else 0) + 1
        self._bytes += len(text)
