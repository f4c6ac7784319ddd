"""Where the documents of a text begin in the bytes that were read, whatever was made of their line ends."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left

from oomguard.preparation.encoding.safe_cuts import unify_newlines

_CR_LF = re.compile(rb"\r\n")


def origins_in_text(raw: bytes, separator: bytes, *, universal_newlines: bool, first: int, begins: bool) -> array[int]:
    """Give where the documents of `text.split(separator)` begin; of the first one -1 unless it `begins` here.

    With `universal_newlines` separators are looked for in the text with LF alone. All are bytes of `raw`, of which the
    first one is number `first`. They are never a list: of a text of short lines it would take more than the text.
    """
    origins = array("q", [first if begins else -1])
    if not separator:
        return origins
    text = unify_newlines(raw) if universal_newlines else raw
    found = (match.end() for match in re.finditer(re.escape(separator), text))
    if len(text) == len(raw):
        origins.extend(first + end for end in found)
        return origins
    # A CR LF, the k-th of them, at r - k in the text: behind it the bytes of `raw` are one more.
    pairs = array("q", (match.start() - number for number, match in enumerate(_CR_LF.finditer(raw))))
    origins.extend(first + end + bisect_left(pairs, end) for end in found)
    return origins
