"""What a script will hold in memory, line by line, and whether it fits."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from oomguard.text import printable
from oomguard.units import format_size

if TYPE_CHECKING:
    from rich.console import RenderableType

_WIDTH = 76  # of a line that is shown
_HARDLY = 0.01  # bytes for each byte of the input


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line that holds what grows with the input. Units: bytes, or bytes for each byte of text."""

    line: int
    code: str
    rule: str
    why: str
    do: str
    held_per_byte: float
    peak_per_byte: float  # while it is being made
    disk_per_byte: float
    fixed_bytes: int  # whatever the input
    held_bytes: int | None  # for the input that was named
    peak_bytes: int | None
    each_file: bool  # of each of many files, one after the other


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedInput:
    """The input that was named."""

    path: str
    disk_bytes: int
    text_bytes: int
    bytes_per_token: float
    widest_character: str
    character_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptCheck:
    """What a script holds at most, and whether this machine has as much."""

    script: str
    input: CheckedInput | None
    findings: tuple[Finding, ...]
    peak_per_byte: float  # all that lives at one moment
    peak_line: int
    fixed_bytes: int  # besides: the interpreter, its libraries, buffers of a fixed size
    needed_bytes: int | None  # None: no input was named
    available_bytes: int
    limited_by: str
    fits: bool | None  # None: no input was named
    short_bytes: int  # by how much it does not fit
    largest_input_bytes: int | None  # of text, that would fit; None: nothing in it grows with the input

    def render(self) -> RenderableType:
        """Build the screen for people."""
        screen = Table.grid(padding=(0, 2))
        screen.add_column()
        screen.add_column(overflow="fold")
        for label, value in self._head():
            screen.add_row(label, Text(value))
        return Group(screen, *self._findings(), Text(""), *(Text(line) for line in self._verdict()))

    def _head(self) -> list[tuple[str, str]]:
        head = [("script", printable(self.script))]
        if self.input is not None:
            wide = f"U+{ord(self.input.widest_character):04X}" if self.input.widest_character else "-"
            head += [
                ("input", f"{printable(self.input.path)}  {format_size(self.input.text_bytes)} of text"),
                ("", f"{self.input.bytes_per_token:.2f} bytes a token; its widest character is {wide}, so that Python"),
                ("", f"stores {self.input.character_bytes} bytes for each character of it"),
            ]
        return head

    def _findings(self) -> list[RenderableType]:
        shown: list[RenderableType] = []
        explained: dict[str, int] = {}
        for finding in self.findings:
            shown += [Text(""), Text(_cut(f"line {finding.line}  {finding.code}"))]
            rows = Table.grid(padding=(0, 2))
            rows.add_column(width=5)
            rows.add_column(overflow="fold", max_width=66)
            rows.add_row("takes", Text(_takes(finding)))
            if finding.rule in explained:
                rows.add_row("why", Text(f"as in line {explained[finding.rule]}"))
            else:
                rows.add_row("why", Text(finding.why))
                rows.add_row("do", Text(finding.do))
            explained.setdefault(finding.rule, finding.line)
            shown.append(Padding(rows, (0, 0, 0, 4)))
        return shown

    def _verdict(self) -> list[str]:
        room = f"{format_size(self.available_bytes)} ({self.limited_by})"
        if not self.findings or self.peak_per_byte < _HARDLY:
            only = (
                "nothing in it grows with the input" if not self.findings else "nothing in it grows much with the input"
            )
            return [f"fits: {only}; about {format_size(self.fixed_bytes)} whatever the input"]
        if self.needed_bytes is None:
            most = f": enough for {format_size(self.largest_input_bytes)} of text" if self.largest_input_bytes else ""
            return [
                f"needs {self.peak_per_byte:.1f} bytes at once for each byte of text (line {self.peak_line})",
                f"there are {room}{most}",
                f"next: oomguard check {shlex.quote(printable(self.script))} --input FILE",
            ]
        needs = f"needs {format_size(self.needed_bytes)} at once (line {self.peak_line})"
        if self.fits:
            return [f"fits: {needs}", f"there are {room}"]
        assert self.input is not None
        return [
            f"does not fit: {needs}, {format_size(self.short_bytes)} too much",
            f"there are {room}"
            + (f": enough for {format_size(self.largest_input_bytes)} of text" if self.largest_input_bytes else ""),
            f"next: oomguard plan {shlex.quote(printable(self.input.path))}    how to do the same job here",
        ]

    def to_json(self) -> dict[str, Any]:
        """The same facts for programs: sizes are integers of bytes."""
        return {"schema": "oomguard.check/1", **asdict(self)}


def _takes(finding: Finding) -> str:
    parts = []
    if finding.fixed_bytes:
        parts.append(f"{format_size(finding.fixed_bytes)}, whatever the input")
    if finding.peak_per_byte:
        ratio = f"{finding.held_per_byte:.2f} bytes for each byte of text"
        if finding.peak_per_byte > 1.05 * finding.held_per_byte:
            ratio += f" ({finding.peak_per_byte:.2f} while it is made)"
        parts.append(ratio if finding.held_bytes is None else f"{format_size(finding.held_bytes)}: {ratio}")
    if finding.disk_per_byte:
        parts.append(f"{finding.disk_per_byte:.1f} bytes of disk for each byte of text, and hardly any memory")
    return "; ".join(parts) + (", for each file" if finding.each_file else "")


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."
