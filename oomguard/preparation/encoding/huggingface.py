"""Hugging Face's tokenizers: the reference for tokenizer.json, and the engine where the core has none."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from oomguard.errors import MissingExtra, NothingFound
from oomguard.preparation.encoding.encodings import read_whole
from oomguard.preparation.encoding.tokenizers import (
    BadUtf8,
    Engine,
    EngineCannotEncode,
    NeedsRoom,
    ReferenceEngine,
    require_utf8,
)
from oomguard.units import KIB

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from oomguard.preparation.encoding.encodings import EncodingSpec

_LOWEST, _TOO_HIGH = (0, 21), (1, 0)  # 1.0.0rc3 has no encode_special_tokens and no from_buffer
# UTF-8 of all but U+0000-02FF, Cyrillic U+0400-047F, U+2002-203F (dashes and quotation marks), the euro sign and
# U+4000-9FFF (Chinese): these are NFC as they are, in any order.
_MAY_CHANGE = re.compile(rb"[\xcc-\xcf\xd2-\xe1\xe3\xea-\xff]|\xe2(?!\x80[\x82-\xbf]|\x82\xac)")


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


def normalize_nfc(text: str) -> str:
    """Bring a text into NFC by the library's Unicode version. Raises: NothingFound if it is not installed."""
    require_tokenizers()
    from tokenizers.normalizers import NFC

    return str(NFC().normalize_str(text))


# NFC before encoding, for tokenizers whose file asks for it, by the Unicode version of Hugging Face's tokenizers.
#
# Python's own table may be older. Text of characters that it knows is normalized by it, because no later version may
# change that (Unicode's stability policy); text with others is normalized by tokenizers.


_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


def to_nfc(text: str) -> str:
    """Give the text in NFC."""
    if _is_unknown_to_python(text):
        return normalize_nfc(text)
    return unicodedata.normalize("NFC", text)


def _is_unknown_to_python(text: str) -> bool:
    """Whether this Python's Unicode lacks a character of the text.

    A class of `re` is looked up in a table only up to U+FFFF: with ranges above, it took a hundred times as long.
    """
    if _unknown_below_astral().search(text):
        return True
    return any(unicodedata.category(one) == "Cn" for one in set(_ASTRAL.findall(text)))


@cache
def _unknown_below_astral() -> re.Pattern[str]:
    """Characters up to U+FFFF that this Python's Unicode does not have; made once."""
    codes = (code for code in range(0x300, 0x10000) if unicodedata.category(chr(code)) == "Cn")
    ranges: list[list[int]] = []
    for code in codes:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return re.compile("[" + "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges) + "]")


class NfcEngine:
    """Encodes with another engine what it has brought into NFC, document by document where that changes anything."""

    def __init__(self, inner: Engine) -> None:
        self.name = inner.name
        self._inner = inner

    def encode(
        self, text: Any, *, mark: bytes, eot: int, tokens: memoryview, ends: memoryview, before: int, scratch: int
    ) -> tuple[int, int]:
        """Encode as `Engine` says."""
        if not _MAY_CHANGE.search(text):
            return self._inner.encode(
                text, mark=mark, eot=eot, tokens=tokens, ends=ends, before=before, scratch=scratch
            )
        data = bytes(text)
        require_utf8(data)
        documents = [_normalized(part) for part in (data.split(mark) if mark else [data])]
        count = self._documents(documents, tokens, ends, eot=eot, before=before, scratch=scratch)
        return count - (eot >= 0), len(documents) - 1  # the inner engine has ended the last document as well

    def encode_documents(
        self, text: Any, offsets: Sequence[int], *, eot: int, tokens: memoryview, ends: memoryview, before: int,
        scratch: int,
    ) -> int:  # fmt: skip
        """Encode as `Engine` says."""
        places = [int(place) for place in offsets]
        if not _MAY_CHANGE.search(text, places[0], places[-1]):
            return self._inner.encode_documents(
                text, offsets, eot=eot, tokens=tokens, ends=ends, before=before, scratch=scratch
            )
        documents = []
        for start, stop in pairwise(places):
            document = bytes(text[start:stop])
            if not document.isascii():
                try:
                    require_utf8(document)
                except BadUtf8 as bad:
                    raise BadUtf8(start + bad.at) from None
                if _MAY_CHANGE.search(document):
                    document = _normalized(document)
            documents.append(document)
        return self._documents(documents, tokens, ends, eot=eot, before=before, scratch=scratch)

    def _documents(
        self, documents: list[bytes], tokens: memoryview, ends: memoryview, *, eot: int, before: int, scratch: int
    ) -> int:
        offsets = memoryview(bytearray(8 * (len(documents) + 1))).cast("q")
        for number, place in enumerate(accumulate(map(len, documents)), 1):
            offsets[number] = place
        text = b"".join(documents)
        if len(text) >= len(tokens):  # a few characters become three times as long
            raise NeedsRoom(len(text), 0)
        return self._inner.encode_documents(
            text, offsets, eot=eot, tokens=tokens, ends=ends, before=before, scratch=scratch
        )


def _normalized(document: bytes) -> bytes:
    text = document.decode()
    normal = to_nfc(text)
    return document if normal == text else normal.encode()
