"""Colour for verdicts, on a terminal only: what was found stands out, and everything else stays as it is."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

_RED, _GREEN, _YELLOW, _PLAIN = "\x1b[1;31m", "\x1b[1;32m", "\x1b[1;33m", "\x1b[0m"

# What a line begins with, where it is a verdict: the label of a row (two spaces follow), or the sentence itself.
_VERDICTS = (
    (_RED, re.compile(r"error:|does not fit(?=:)|fits +no\b|(killed by|killed|stopped|refused)(?=  )|NOT ENOUGH")),
    (_GREEN, re.compile(r"fits:|fits +yes\b|(done|on|removed)(?=  )|all of it is fine|no problems found")),
    (_YELLOW, re.compile(r"(oomguard: )?warning:|(note|but)(?=  )")),
)
_COSTS = re.compile(r"([a-z/][\w /-]{0,20} |  )( *)!(?= )")  # a line of doctor that could be better


def wants_colour(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that shows colours, of a user who did not switch them off.

    Source: no-color.org: NO_COLOR with any text in it; terminfo(5): "dumb" and unset know no escapes.
    """
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb" and stream.isatty()


def coloured(text: str) -> str:
    """Give a screen with its verdicts in colour. Screens hold no escapes of their own: they are made printable."""
    return "\n".join(map(_coloured_line, text.split("\n")))


def _coloured_line(line: str) -> str:
    for colour, pattern in _VERDICTS:
        if found := pattern.match(line):
            return f"{colour}{found[0]}{_PLAIN}{line[found.end() :]}"
    if found := _COSTS.match(line):
        return f"{found[1]}{found[2]}{_YELLOW}!{_PLAIN}{line[found.end() :]}"
    return line
