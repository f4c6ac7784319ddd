"""What stands around each line of a report and is no prefix that is known: learned from the report itself.

A log viewer's export, a list of strings in a program's output, a vendor's console: each puts the same before (and
perhaps after) every line. Some lines of a report begin with fixed words and some are nothing but these, so what is
before and after them is told by the text, if lines of two kinds agree.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oomguard.formats.kernel_log.prefixes import messages_of_json, peel

if TYPE_CHECKING:
    from collections.abc import Iterator

# The beginnings of lines that a report is made of, in every kernel. `True`: it is the whole line.
_BEGINNINGS = {
    b"Mem-Info:": True,
    b"Call Trace:": True,
    b"Tasks state (memory values in pages):": True,
    b"Free swap  = ": False,
    b"memory: usage ": False,
    b"Memory cgroup stats for /": False,
    b"oom-kill:constraint=": False,
    b"Out of memory: Kill": False,
    b"Memory cgroup out of memory: Kill": False,
}
_KILLS = frozenset([b"Out of memory: Kill", b"Memory cgroup out of memory: Kill"])  # which others quote, alone
_MATTERS = (b"oom-killer", b"oom-kill:constraint=", b"emory: Kill", b"Mem-Info:")
_LONGEST = 600  # bytes before a line
_EACH = 8  # lines of one beginning that are looked at
_MOST = 4  # ways to wrap lines in one log
_TOKEN = re.compile(r"[\w.+-]+|\s+|.", re.DOTALL)
_TIMES = (
    re.compile(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?"
    ),
    re.compile(r"[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}"),
)  # fmt: skip
_SECONDS = re.compile(r"\[ *[0-9]{1,10}\.[0-9]{6}\]")
_OWN_STAMP = re.compile(
    r"\[ *[0-9]{1,10}\.[0-9]{6}\](?:\[ *[TC][0-9]{1,10}\])? ?$"
)  # not before each line of a message
_STRING = re.compile(r"\"((?:[^\"\\]|\\.){1,60000})\"|'((?:[^'\\]|\\.){1,60000})'", re.DOTALL)
_CUT_OFF = re.compile(r"\"((?:[^\"\\]|\\.){1,65000})$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Wrap:
    """How a log wraps the lines of a report."""

    before: re.Pattern[str]
    after: re.Pattern[str] | None


@dataclass(slots=True)
class _Seen:
    """Lines whose beginnings have the same before them."""

    kinds: set[bytes] = field(default_factory=set)
    blanks: int = 0  # at the end of what is before
    rests: set[str] = field(default_factory=set)  # what is after those that are whole lines, as a shape


class Unwrapper:
    """Takes off what a log puts around each line, once it is known."""

    def __init__(self) -> None:
        self._wraps: dict[str, _Wrap] = {}

    def lines(self, text: bytes) -> Iterator[str]:
        """Give the lines of a text, as they are or unwrapped. Raises: nothing."""
        if any(word in text for word in _MATTERS):
            self._learn(text)
        wraps = tuple(self._wraps.values())
        for raw in text.split(b"\n"):
            for line in _strings_of(raw):
                yield _unwrap(line, wraps) if wraps else line

    def _learn(self, text: bytes) -> None:
        seen: dict[str, _Seen] = {}
        for word, is_whole in _BEGINNINGS.items():
            place = -1
            for _ in range(_EACH):
                place = text.find(word, place + 1)
                if place < 0:
                    break
                start = text.rfind(b"\n", 0, place) + 1
                if start < place <= start + _LONGEST:
                    end = text.find(b"\n", place)
                    rest = text[place + len(word) : end if end >= 0 else len(text)]
                    _look(seen, text[start:place], word, rest, is_whole=is_whole)
        for shape, lines in seen.items():
            if len(self._wraps) < _MOST and len(lines.kinds) > 1 and lines.kinds - _KILLS:
                after = next(iter(lines.rests)) if len(lines.rests) == 1 else ""
                self._wraps.setdefault(shape, _wrap(shape, lines.blanks, after))


def _look(seen: dict[str, _Seen], head: bytes, word: bytes, rest: bytes, *, is_whole: bool) -> None:
    """Note what stands before a beginning, unless it is a prefix that is known."""
    before, beginning, after = head.decode(errors="replace"), word.decode(), rest.decode(errors="replace")
    if "invoked oom-killer" in before or before.rstrip(" ")[-1:].isalnum() or not before.strip(" \t>"):
        return
    line = peel(before + beginning + after)
    if line.text.startswith(beginning) and line.from_kernel:
        return
    before = _OWN_STAMP.sub("", before)
    if not before.strip():
        return
    lines = seen.setdefault(_shape(before), _Seen())
    lines.kinds.add(word)
    lines.blanks = max(lines.blanks, len(before) - len(before.rstrip(" ")))
    if is_whole:
        after = after.strip()
        lines.rests.add(_shape(after.rstrip(",")) if after[:1] and after[:1] in "\"'|<" else "")


def _shape(text: str) -> str:
    """The same for texts that differ in their words and numbers, and in how many blanks are between them."""
    return "".join(_shapes_of(text)).strip()


def _shapes_of(text: str) -> Iterator[str]:
    for token in _TOKEN.findall(text):
        yield "W" if token[0].isalnum() or token[0] in "_.+-" else " " if token.isspace() else token


def _wrap(shape: str, blanks: int, rest: str) -> _Wrap:
    before = re.compile(rf"\s*{_pattern(shape)} {{0,{blanks}}}")
    return _Wrap(before=before, after=re.compile(rf"{_pattern(rest)},?\s*$") if rest else None)


def _pattern(shape: str) -> str:
    """A blank may be there or not, but between two words."""
    made = []
    for place, each in enumerate(shape):
        before, after = shape[place - 1 : place], shape[place + 1 : place + 2]
        if each == "W":
            made.append(r"[\w.+-]+")
        elif each == " ":
            made.append(r"\s+" if before == after == "W" else r"\s*")
        else:
            made.append(rf"\s*{re.escape(each)}" if before not in ("", " ") else re.escape(each))
    return "".join(made)


def _unwrap(line: str, wraps: tuple[_Wrap, ...]) -> str:
    for wrap in wraps:
        found = wrap.before.match(line)
        if found is None:
            continue
        body = line[found.end() :]
        if wrap.after is not None and (after := wrap.after.search(body)):
            body = body[: after.start()]
            body = body.replace('\\"', '"').replace('""', '"')
        time = next((time[0] for pattern in _TIMES if (time := pattern.search(found[0]))), "")
        day = f"{time.replace(',', '.')} " if time[:1].isdigit() else f"{time} host " if time else ""
        seconds = f"{stamp[0]} " if (stamp := _SECONDS.search(found[0])) else ""
        return f"{day}kernel: {seconds}{body}"
    return line


def _strings_of(raw: bytes) -> Iterator[str]:
    """A line; or, where it is data that holds a whole report, the texts in it, line by line."""
    line = raw.decode(errors="replace")
    if len(raw) < 200 or sum(word in raw for word in _BEGINNINGS) < 2 or messages_of_json(line):
        yield line
        return
    texts = [double or single for double, single in _STRING.findall(line)]
    if cut := _CUT_OFF.search(line[max((found.end() for found in _STRING.finditer(line)), default=0) :]):
        texts.append(cut[1])
    if not any("\\n" in text for text in texts) and len(texts) < 4:
        texts = [line] if "\\n" in line else []
    if not texts:
        yield line
        return
    for text in texts:
        if not _TIMES[0].fullmatch(text):
            yield from _unescaped(text).split("\n")


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:
        return text.replace("\\n", "\n").replace("\\t", "\t").replace('\\"', '"').replace("\\'", "'")
