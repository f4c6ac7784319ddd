"""The words of all wordings as a few regular expressions over bytes, fast enough for a gigabyte of log.

A search for each of more than a hundred words would take as many passes. Nearly all of them hold one of a few stems
("emory", "kill"), so a pass is made for each stem, and only where one stands are the words that hold it compared.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_STEMS = (
    "ending SIG", "emory", "OOM", "oom", "Kill", "kill", "ignal 9", "137", "orker", "died", "abruptly", "alloc", "code",
    "SIG", "xceed", "erminated", "rror", "unable to ", "unexpectedly", "xited", "topped", "lost c", "eceived", "ailed",
)  # fmt: skip
# More of them for a line: few lines of a log hold one, and many words do.
_STEMS_OF_LINES = (
    "SIG", *_STEMS, " has ", "was de", " executi",
)  # fmt: skip
_LITERAL = re.compile(r"(?:[^\\.\[\](){}*+?|^$]|\\[().\[\]{}*+?|^$!])*")
_QUANTIFIED = re.compile(r"[*+?{]")


def alternatives(word: str) -> list[str]:
    """Divide "A|B", or "(?:A|B)", where the bar stands outside of brackets."""
    inner = word[3:-1] if word.startswith("(?:") and _closes_last(word) else word
    parts, depth, start, place = [], 0, 0, 0
    while place < len(inner):
        letter = inner[place]
        if letter == "\\":
            place += 1
        elif letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
        elif letter == "|" and not depth:
            parts.append(inner[start:place])
            start = place + 1
        place += 1
    return [*parts, inner[start:]]


def _closes_last(word: str) -> bool:
    depth = 0
    for place, letter in enumerate(word):
        depth += (letter == "(") - (letter == ")")
        if not depth:
            return place == len(word) - 1
    return False


def literal_prefix(word: str) -> tuple[str, str]:
    """The fixed characters that a word begins with, unescaped, and the rest of its expression."""
    found = _LITERAL.match(word)
    literal = found[0] if found else ""
    rest = word[len(literal) :]
    if _QUANTIFIED.match(rest):  # the last character belongs to what follows
        cut = 2 if literal[-2:-1] == "\\" else 1
        literal, rest = literal[:-cut], literal[-cut:] + rest
    return re.sub(r"\\(.)", r"\1", literal), rest


def stems_of(literals: Iterable[str]) -> tuple[str, ...]:
    """Few strings, one of which is in every text that holds one of the literals: faster to look for than these."""
    found = dict.fromkeys(next((stem for stem in _STEMS_OF_LINES if stem in literal), literal) for literal in literals)
    return tuple(stem for stem in found if not any(other in stem for other in found if other != stem))


def compile_words(words: Iterable[str], beside: Mapping[str, str] | None = None) -> tuple[re.Pattern[bytes], ...]:
    """Make the expressions. Each begins with a fixed word. `beside`: what else is searched for, by its first letters."""
    by_stem: dict[str, list[str]] = defaultdict(list, {stem: [rest] for stem, rest in (beside or {}).items()})
    for word in dict.fromkeys(part for whole in words for part in alternatives(whole) if part):
        literal, rest = literal_prefix(word)
        if len(literal.encode()) < 4:
            raise ValueError(f"a word must begin with four fixed bytes or more: {word}")
        stem = next((stem for stem in _STEMS if stem in literal), literal[:12])
        end = literal.index(stem) + len(stem)
        # What follows the stem is compared first: where that is another letter nothing else is looked at.
        behind = f"(?<={re.escape(literal)})" if not literal.startswith(stem) else ""
        by_stem[stem].append(f"{re.escape(literal[end:])}{behind}{rest}")
    return tuple(
        re.compile(f"{re.escape(stem)}(?:{'|'.join(dict.fromkeys(rests))})".encode()) for stem, rests in by_stem.items()
    )
