r"""Where a text may be cut so that encoding the parts gives the tokens of the whole.

Source: the split patterns in tiktoken_ext/openai_public.py. None of them looks behind and every character is matched,
so the pretokens tile the text, and a cut at i is exact if (1) a pretoken starts at i and (2) the part before i, alone,
splits as it does in the whole: only `$`, `(?!\S)` and a greedy run could notice that the text ends there. The byte
pairs are then merged within each pretoken.

With a = the character before the cut and b = the one after, these hold for all families:

1. a is not white space, b is a space or a tab: no alternative continues with a space after another character.
2. a is a letter or a digit, b is CR, LF, VT or FF: only punctuation takes line ends with it.
3. a and b are a letter and a digit, in either order, or b is a digit after punctuation.
4. a is a letter or a digit, b is punctuation other than the apostrophe, which a contraction begins with.

And by family, between a line end and a character that is not white space:

5. cl100k and o200k put all white space up to the last line end in one pretoken: safe (o200k: unless b is "/").
6. gpt2 splits a run of white space before its last character, but takes it whole at the end of a text. So only after a
   line feed that stands alone.

Some tokenizers have added tokens that stand in a text as a whole, such as Qwen's "<tool_call>". None of those that may
come here holds white space, so beside white space ("...-spaced": the rules that say so) no cut divides one.

"blanks" is the rule for patterns that only Hugging Face's tokenizers splits by: a is an ASCII letter or digit, b is a
space, tab, CR or LF; "none" is for the others, whose documents stay whole.

Letters are ASCII and a few ranges that no version of Unicode will change; text in other scripts is cut at its spaces.
The end of a document, behind the separator that ends it, is a cut in any script: documents are encoded apart.
Everything works on bytes: a is required to be well-formed UTF-8, because invalid bytes may later be dropped.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

Family = Literal["gpt2", "cl100k", "o200k", "gpt2-spaced", "cl100k-spaced", "o200k-spaced", "blanks", "none"]

_TAIL = rb"[\x80-\xbf]"
# Well-formed UTF-8 (Unicode 16, table 3-7), one alternative a length, because a look-behind needs a fixed width.
_TWO = rb"[\xc2-\xdf]" + _TAIL
_THREE = (
    rb"(?:\xe0[\xa0-\xbf]|[\xe1-\xec\xee\xef]" + _TAIL + rb"|\xed[\x80-\x9f])" + _TAIL,
    rb"(?:\xf0[\x90-\xbf]|[\xf1-\xf3]" + _TAIL + rb"|\xf4[\x80-\x8f])" + _TAIL + _TAIL,
)
# Not white space; the excluded ones are U+0085 U+00A0 U+1680 U+2000-200A U+2028 U+2029 U+202F U+205F U+3000.
_AFTER_NON_SPACE = (
    rb"(?:(?<=[^\x80-\xff\t\n\x0b\x0c\r ])"
    rb"|(?<=" + _TWO + rb")(?<!\xc2[\x85\xa0])"
    rb"|(?<=" + _THREE[0] + rb")(?<!\xe1\x9a\x80)(?<!\xe2\x80[\x80-\x8a\xa8\xa9\xaf])(?<!\xe2\x81\x9f)(?<!\xe3\x80\x80)"
    rb"|(?<=" + _THREE[1] + rb"))"
)
_LETTER_2 = rb"(?:\xc3[\x80-\x96\x98-\xb6\xb8-\xbf]|\xd0[\x90-\xbf]|\xd1[\x80-\x8f])"  # Latin-1, Cyrillic U+0410-044F
_LETTER_3 = (
    rb"(?:\xe3\x81[\x81-\xbf]|\xe3\x82[\x80-\x96\xa1-\xbf]|\xe3\x83[\x80-\xba]"  # Hiragana, Katakana
    rb"|\xe4[\xb8-\xbf]"
    + _TAIL
    + rb"|[\xe5-\xe8]"
    + _TAIL
    + _TAIL
    + rb"|\xe9[\x80-\xbe]"
    + _TAIL  # U+4E00-9FBF
    + rb"|\xea[\xb0-\xbf]"
    + _TAIL
    + rb"|[\xeb\xec]"
    + _TAIL
    + _TAIL
    + rb"|\xed[\x80-\x9d]"
    + _TAIL
    + rb")"  # Hangul
)
_AFTER_LETTER = rb"(?:(?<=[A-Za-z])|(?<=" + _LETTER_2 + rb")|(?<=" + _LETTER_3 + rb"))"
_LETTER = rb"(?:[A-Za-z]|" + _LETTER_2 + rb"|" + _LETTER_3 + rb")"
_PUNCTUATION = (
    rb"(?:[!-&(-/:-@\[-`{-~]"
    rb"|\xe3\x80[\x81\x82\x88-\x91]"  # U+3001 U+3002 and the CJK brackets U+3008-3011
    rb"|\xef\xbc[\x81\x8c\x8e\x9a\x9b\x9f])"  # full-width ! , . : ; ?
)
_NOT_SPACE = rb"(?:[!-~]|" + _LETTER_2 + rb"|" + _LETTER_3 + rb")"

_EVERYWHERE = (
    _AFTER_NON_SPACE + rb"(?=[ \t])",
    _AFTER_LETTER + rb"(?=[\n\r\x0b\x0c0-9]|" + _PUNCTUATION + rb")",
    rb"(?<=[0-9])(?=[\n\r\x0b\x0c]|" + _LETTER + rb"|" + _PUNCTUATION + rb")",
    rb"(?<=[!-/:-@\[-`{-~])(?=[0-9])",
)
_BEFORE_SPACE = (
    _AFTER_NON_SPACE + rb"(?=[ \t])",
    rb"(?:" + _AFTER_LETTER + rb"|(?<=[0-9]))(?=[\n\r\x0b\x0c])",
)
_BLANKS = rb"(?<=[0-9A-Za-z])(?=[ \t\n\r])"
_AFTER_LINE_END = {
    "gpt2": rb"(?<=[!-~]\n)(?=" + _NOT_SPACE + rb")",
    "cl100k": rb"(?<=[\n\r])(?=" + _NOT_SPACE + rb")",
    "o200k": rb"(?<=[\n\r])(?!/)(?=" + _NOT_SPACE + rb")",
}
_CR_LF = re.compile(rb"\r\n")


@cache
def _last_cut(family: Family) -> re.Pattern[bytes]:
    if family == "blanks":
        rules: tuple[bytes, ...] = (_BLANKS,)
    else:
        pattern, _, spaced = family.partition("-")
        rules = (*(_BEFORE_SPACE if spaced else _EVERYWHERE), _AFTER_LINE_END[pattern])
    # `.*` runs to the end at once and comes back byte by byte, so the last cut of a window is found first.
    return re.compile(rb"(?s:.*)(?:" + rb"|".join(rules) + rb")")


def last_safe_cut(
    window: bytes, *, family: Family, separator: bytes = b"", universal_newlines: bool = False
) -> int | None:
    """Find the last place in `window` where the text may be cut, or None.

    `window` is any stretch of a UTF-8 text and need not begin or end at a character. The cut is at i with
    0 < i < len(window), never inside a character, a CR LF pair or a `separator` between documents. With
    `universal_newlines` the separator is looked for as it will read once CR LF and CR have become LF.
    Raises: nothing.
    """
    if family == "none":
        return None
    # A separator that sticks out of the window on either side cannot be seen, so cuts stay that far inside.
    margin = max(0, len(separator) * (2 if universal_newlines else 1) - 1)
    end = len(window) - margin
    while end > 1:
        match = _last_cut(family).match(window, 0, end)
        if match is None or match.end() <= margin:
            return None
        cut = match.end()
        if not separator or not _cuts_separator(window, cut, separator, universal_newlines=universal_newlines):
            return cut
        end = cut
    return None


def _cuts_separator(window: bytes, cut: int, separator: bytes, *, universal_newlines: bool) -> bool:
    reach = len(separator) * (2 if universal_newlines else 1)
    left, right = window[max(0, cut - reach) : cut], window[cut : cut + reach]
    if universal_newlines:
        left, right = unify_newlines(left), unify_newlines(right)
    left, right = left[len(left) - min(len(left), len(separator) - 1) :], right[: len(separator) - 1]
    return separator in left + right


class Separators:
    """Finds where the separators of a text end, as `split` finds them; it is ready to be used many times."""

    def __init__(self, separator: bytes, *, universal_newlines: bool = False) -> None:
        """`separator` is not empty; with `universal_newlines`, its line feeds stand for any line end."""
        self.longest = len(separator) * (2 if universal_newlines else 1)  # bytes that one takes at most
        line_end = rb"(?:\r\n|\r(?!\n)|\n)" if universal_newlines else b"\n"
        self._pattern = re.compile(line_end.join(re.escape(part) for part in separator.split(b"\n")))

    def ends(self, window: bytes, *, is_end: bool) -> Iterator[int]:
        """Give where each separator ends in `window`, in which the first one that counts is a whole one.

        Unless it `is_end` of the text, one at its very end is left to the next window: a CR may become a CR LF.
        """
        for match in self._pattern.finditer(window):
            if is_end or match.end() < len(window):
                yield match.end()


def unify_newlines(text: bytes) -> bytes:
    r"""Turn CR LF and CR into LF, as Python's text mode does."""
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in text else text


# Where the documents of a text begin in the bytes that were read, whatever was made of their line ends.


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
