"""NFC before encoding, for tokenizers whose file asks for it, by the Unicode version of Hugging Face's tokenizers.

Python's own table may be older. Text of characters that it knows is normalized by it, because no later version may
change that (Unicode's stability policy); text with others is normalized by tokenizers.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from oomguard.preparation.encoding.tokenizers import BadUtf8, Engine, NeedsRoom, require_utf8

if TYPE_CHECKING:
    from collections.abc import Sequence

# UTF-8 of all but U+0000-02FF, Cyrillic U+0400-047F, U+2002-203F (dashes and quotation marks), the euro sign and
# U+4000-9FFF (Chinese): these are NFC as they are, in any order.
_MAY_CHANGE = re.compile(rb"[\xcc-\xcf\xd2-\xe1\xe3\xea-\xff]|\xe2(?!\x80[\x82-\xbf]|\x82\xac)")


_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


def to_nfc(text: str) -> str:
    """Give the text in NFC."""
    if _is_unknown_to_python(text):
        from oomguard.preparation.encoding.huggingface import normalize_nfc

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
