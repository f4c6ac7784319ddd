"""Labels and texts side by side, as wide as the terminal is; text that others chose made safe to show."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from rich.text import Text

from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, ConsoleOptions

Lines = list[tuple[str, str]]

COMMAND = "   "  # begins a value that is a command to paste
_LABEL = 11
_NARROWEST, _WIDEST = 40, 120
_LONG_NAME = 100


class Screen:
    """Blocks of text with an empty line between them; what is given as lines is laid out for the width at hand."""

    def __init__(self, blocks: Sequence[Lines | str]) -> None:
        self._blocks = [block for block in blocks if block]

    def text(self, width: int) -> str:
        """The whole screen."""
        return "\n\n".join(block if isinstance(block, str) else lay_out(block, width) for block in self._blocks)

    def __str__(self) -> str:
        return self.text(80)

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> Iterator[Text]:
        shown = Text(self.text(options.max_width))
        shown.stylize("bold", 0, max(0, shown.plain.find("\n")))  # the verdict
        yield shown


def lay_out(lines: Lines, width: int = 80) -> str:
    """Set labels and texts side by side. A command is never broken: it is there to be pasted."""
    columns = min(max(width, _NARROWEST), _WIDEST)
    made = []
    for label, value in lines:
        shown = printable(value)
        if value.startswith(COMMAND):
            made.append(f"{'':{_LABEL}}{shown}")
            continue
        wrapped = textwrap.wrap(shown, columns - _LABEL, break_on_hyphens=False, break_long_words=False) or [""]
        made += [f"{label if number == 0 else '':{_LABEL}}{part}".rstrip() for number, part in enumerate(wrapped)]
    return "\n".join(made)


def short(name: str) -> str:
    """A name that others chose, of a length that a line bears; of a path the last part is what matters."""
    if len(name) <= _LONG_NAME:
        return name
    if "/" in name:
        return f".../{name.rstrip('/').rpartition('/')[2][-200:]}"
    return f"{name[:_LONG_NAME]}..."
