"""Words for people: text that others chose (file names, log lines) made safe to show, rows, and commands to paste."""

from __future__ import annotations

import re
import shlex
import signal
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

from oomguard.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.text import Text

_NARROWEST = 20  # columns of text


@dataclass(frozen=True, slots=True)
class Command:
    """A line to paste, or another that must stay whole, such as one of source code."""

    line: str


@dataclass(frozen=True, slots=True)
class Rows:
    """Labels, and beside them texts in lines of the terminal's width; a command is never broken.

    All of it is made printable here, whoever chose it. Rich draws it, but it can be had without: to import Rich takes
    20 ms.
    """

    rows: Sequence[tuple[str, str | Command]]
    gap: int = 2  # columns between a label and its text
    below: Sequence[str] = ()  # lines that follow; those that are indented are commands, which stay whole

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Draw it in the width there is."""
        from rich.text import Text

        for line in self.lines(options.max_width):
            yield Text(line, no_wrap=True, overflow="ignore")

    def lines(self, columns: int) -> Iterator[str]:
        """Lay it out."""
        margin = max((len(label) for label, _ in self.rows), default=0) + self.gap
        for label, value in self.rows:
            if isinstance(value, Command):
                lines = [f"  {printable(value.line)}"]
            else:
                width = max(_NARROWEST, columns - margin)
                lines = _wrapped(printable(value), width)
            for number, line in enumerate(lines):
                shown = f"{label if number == 0 else '':<{margin}}{line}"
                yield shown.rstrip()
        for line in map(printable, self.below):
            yield from [line] if line.startswith(" ") else _wrapped(line, max(_NARROWEST, columns))


class Drawn:
    """A result that the screens of its package draw for people, as the command line shows it.

    They import the result, so it only names them; and who wants the facts alone never loads them.
    """

    __slots__ = ()
    _screen: ClassVar[str]  # "module:function"

    def render(self) -> RenderableType:
        """Build the screen, for Rich to print."""
        module, _, function = self._screen.partition(":")
        drawn: RenderableType = getattr(import_module(module), function)(self)
        return drawn


def _wrapped(text: str, width: int) -> list[str]:
    """Break between words, and within one that is longer than a line."""
    if text.isascii():
        cell_len: Callable[[str], int] = len
    else:
        from rich.cells import cell_len

    lines = [""]
    for word in re.findall(r"\s*\S+", text):
        if lines[-1] and cell_len(lines[-1] + word) > width:
            lines.append(word.lstrip())
        else:
            lines[-1] += word
        while cell_len(lines[-1]) > width:
            end = width if cell_len(lines[-1]) == len(lines[-1]) else width // 2  # a character takes up to two columns
            lines[-1:] = [lines[-1][:end], lines[-1][end:]]
    return lines


def printable(text: str) -> str:
    r"""Give `text` with every character escaped that would not show as itself.

    Line ends, terminal escapes, direction marks and the stand-ins for undecodable bytes of a file name become
    "\n", "\x1b", "\u202e" and "\udcff"; spaces and letters of any script stay. A backslash stays too.
    Raises: nothing.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def shell_word(text: str) -> str:
    r"""Quote `text` as one word of a shell command that can be shown and pasted.

    What would not show as itself is written as bash, zsh and ksh read it: $'esc\x1b'. Raises: nothing.
    """
    if text.isprintable():
        return shlex.quote(text)
    shown = "".join(
        f"\\x{byte:02x}" if byte < 0x20 or byte >= 0x7F or byte in b"\\'" else chr(byte)
        for byte in text.encode("utf-8", "surrogateescape")
    )
    return f"$'{shown}'"


def as_root(command: str) -> str:
    """Give one of oomguard's commands ("swap status") as a line to paste that runs it as root.

    sudo looks in system folders only, where the command of a virtual environment, pipx or uv is not.
    """
    return f"sudo $(command -v oomguard) {command}"


def signal_name(number: int) -> str:
    """Give a signal's name, such as SIGKILL; "signal 70" for one without. Raises: nothing."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
