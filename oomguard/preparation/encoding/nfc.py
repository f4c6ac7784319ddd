"""NFC before encoding, for tokenizers whose file asks for it.

What counts is the Unicode version of Hugging Face's tokenizers. Python's own may be older, or later. What both have
is normalized by Python, because no later version may change that (Unicode's stability policy): characters of Unicode
3.2, and others that are no letters and marks. Where there are others, text that changes is normalized by tokenizers.
Nearly all text is NFC already, which a quick check finds out (Unicode Standard Annex 15, 9).
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from oomguard.preparation.encoding.bytes_core import find_denormal
from oomguard.preparation.encoding.huggingface import require_tokenizers
from oomguard.preparation.encoding.tokenizers import BadUtf8, Engine, NeedsRoom, require_utf8

if TYPE_CHECKING:
    from collections.abc import Sequence

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


class NfcEngine:
    """Encodes with the core what it has brought into NFC, document by document where that changes anything."""

    def __init__(self, inner: Engine) -> None:
        self.name = inner.name
        self._inner = inner

    def encode(
        self, text: Any, *, mark: bytes, eot: int, tokens: memoryview, ends: memoryview, before: int, scratch: int
    ) -> tuple[int, int]:
        """Encode as `Engine` says."""
        if mark.isascii() and not changes(text):  # then no document changes either: a part of NFC is NFC
            return self._inner.encode(
                text, mark=mark, eot=eot, tokens=tokens, ends=ends, before=before, scratch=scratch
            )
        data = bytes(text)
        require_utf8(data)
        documents = [normalized(part) for part in (data.split(mark) if mark else [data])]
        count = self._documents(documents, tokens, ends, eot=eot, before=before, scratch=scratch)
        return count - (eot >= 0), len(documents) - 1  # the inner engine has ended the last document as well

    def encode_documents(
        self, text: Any, offsets: Sequence[int], *, eot: int, tokens: memoryview, ends: memoryview, before: int,
        scratch: int,
    ) -> int:  # fmt: skip
        """Encode as `Engine` says."""
        places = [int(place) for place in offsets]
        if not changes(memoryview(text)[places[0] : places[-1]]):
            return self._inner.encode_documents(
                text, offsets, eot=eot, tokens=tokens, ends=ends, before=before, scratch=scratch
            )
        documents = []
        for start, stop in pairwise(places):
            document = bytes(text[start:stop])
            try:
                require_utf8(document)
            except BadUtf8 as bad:
                raise BadUtf8(start + bad.at) from None
            documents.append(normalized(document))
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


def normalized(document: bytes) -> bytes:
    """Give well-formed text in NFC."""
    parts, at = [], 0
    for start, end, new in changes(document):
        parts += [document[at:start], new]
        at = end
    return b"".join([*parts, document[at:]]) if parts else document


def changes(text: Any) -> list[tuple[int, int, bytes]]:
    """Give the stretches of a text that are not NFC, and what they become: (start, end, new).

    What is ill-formed is a stretch too, of which nothing is known.
    """
    found: list[tuple[int, int, bytes]] = []
    stretch = None
    while stretch := find_denormal(text, stretch[1] if stretch else 0):
        start, end = stretch
        old = bytes(text[start:end])
        try:
            new = to_nfc(old.decode()).encode()
        except UnicodeDecodeError:
            return [*found, (start, end, b"")]
        if new != old:
            found.append((start, end, new))
    return found


def to_nfc(text: str) -> str:
    """Give the text in NFC. Raises: NothingFound if only Hugging Face's tokenizers knows it, and is not installed."""
    if not _is_unknown_to_python(text):
        # What is NFC here is NFC for an older version, to which a later mark is a letter that nothing joins.
        normal = unicodedata.normalize("NFC", text)
        if normal == text or not any(map(_may_be_new, set(text))):
            return normal
    require_tokenizers()
    from tokenizers.normalizers import NFC

    return str(NFC().normalize_str(text))


def _may_be_new(character: str) -> bool:
    """Whether a letter or mark might not be in the library's Unicode, which then does not order or compose it."""
    return unicodedata.ucd_3_2_0.category(character) == "Cn" and unicodedata.category(character)[0] in "LM"


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
