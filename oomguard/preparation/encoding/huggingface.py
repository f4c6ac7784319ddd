"""Hugging Face's tokenizers: the reference for tokenizer.json, and the engine where the core has none."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from oomguard.errors import MissingExtra, NothingFound
from oomguard.preparation.encoding.encodings import read_whole
from oomguard.preparation.encoding.tokenizers import EngineCannotEncode, ReferenceEngine
from oomguard.units import KIB

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.preparation.encoding.encodings import EncodingSpec

_LOWEST, _TOO_HIGH = (0, 21), (1, 0)  # 1.0.0rc3 has no encode_special_tokens and no from_buffer


def require_tokenizers() -> None:
    """Raise MissingExtra unless the library is installed, in a version that can be used."""
    try:
        installed = version("tokenizers")
    except PackageNotFoundError as error:
        what = "this tokenizer.json is checked or encoded by Hugging Face's tokenizers, which is not installed"
        raise MissingExtra(what, "tokenizers") from error
    numbers = tuple(int(number) for number in re.findall(r"[0-9]+", installed)[:2])
    if not _LOWEST <= numbers < _TOO_HIGH:
        raise MissingExtra(f"tokenizers {installed} is installed; 0.21 or later, but below 1, is needed", "tokenizers")


class HuggingFaceEngine(ReferenceEngine):
    """The library on the file as it is, but special tokens are text there, and nothing is cut short or padded."""

    name = "tokenizers"
    cost = 330  # for text of which each byte is a token
    stretch = 32 * KIB

    def __init__(self, spec: EncodingSpec, file: Path) -> None:
        """Load the file. Raises: NothingFound if the library is not there or cannot; Changed; OSError."""
        require_tokenizers()
        import tokenizers

        super().__init__(spec)
        data = read_whole(spec, file)
        try:
            self._tokenizer = tokenizers.Tokenizer.from_buffer(data)
        except Exception as error:  # the library raises Exception itself
            raise NothingFound(
                f"tokenizers {tokenizers.__version__} cannot load {spec.name}: {error}",
                do="pip install --upgrade tokenizers, or check the file",
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True  # as text: a document cannot forge a boundary

    def ids(self, text: bytes) -> list[int]:
        """Give the ids of well-formed text. Raises: EngineCannotEncode."""
        try:
            return list(self._tokenizer.encode(text.decode(), add_special_tokens=False).ids)
        except BaseException as error:
            if isinstance(error, (KeyboardInterrupt, SystemExit, MemoryError)):
                raise
            raise EngineCannotEncode from error
