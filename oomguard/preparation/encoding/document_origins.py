"""Where the documents of a text begin in the bytes that were read, whatever was made of their line ends."""

from __future__ import annotations

import re
from bisect import bisect_left

from oomguard.preparation.encoding.safe_cuts import unify_newlines

_CR_LF = re.compile(rb"\r\n")


def origins_in_text(raw: bytes, separator: bytes, *, universal_newlines: bool) -> list[int]:
    """Give the byte behind each separator, as `text.split(separator)` finds them.

    With `universal_newlines` they are looked for in the text with LF alone, and the bytes are those of `raw`.
    """
    if not separator:
        return []
    text = unify_newlines(raw) if universal_newlines else raw
    found = [match.end() for match in re.finditer(re.escape(separator), text)]
    if len(text) == len(raw):
        return found
    # A CR LF, the k-th of them, at r - k in the text: behind it the bytes of `raw` are one more.
    pairs = [match.start() - number for number, match in enumerate(_CR_LF.finditer(raw))]
    return [end + bisect_left(pairs, end) for end in found]
