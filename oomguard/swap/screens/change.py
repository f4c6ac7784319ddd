"""What `swap` made, and what `swap remove` takes away."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from oomguard.formats.fstab import escape_path
from oomguard.text import printable
from oomguard.units import format_size

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapAdded:
    """A swap area that is on, or was on while a command ran. Sizes in bytes."""

    path: str | None  # None: none was needed
    size: int
    priority: int | None  # as the kernel has it
    persist: bool
    wall_seconds: float
    swap_total: int  # of the machine, with it
    available: int  # memory, without swap
    command: tuple[str, ...] = ()  # it was on while this ran
    exit_code: int | None = None
    removed: bool = False

    def render(self) -> RenderableType:
        """Build the screen for people."""
        if self.path is None:
            return Text("no swap was made: none is needed")
        screen = Table.grid(padding=(0, 2))
        screen.add_column()
        screen.add_column(overflow="fold")
        state = "was on" if self.removed else "on"
        for label, value in (
            (state, f"{format_size(self.size)} of swap at {printable(self.path)}, in {self.wall_seconds:.1f} s"),
            (
                "room",
                f"{format_size(self.available)} of memory available, {format_size(self.swap_total)} of swap in all",
            ),
        ):
            screen.add_row(label, Text(value))
        if self.removed:
            return screen
        path = printable(shlex.quote(self.path))
        return Group(screen, Text(f"\nnext: start the job; afterwards: sudo oomguard swap remove {path}"))

    def to_json(self) -> dict[str, Any]:
        """The same facts for programs: sizes are integers of bytes."""
        return {"schema": "oomguard.swap_added/1", **asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedArea:
    """One area to switch off. Sizes in bytes."""

    path: str
    size: int
    used: int
    on: bool
    by_oomguard: bool
    in_fstab: bool
    deletes: bool  # its file too; a disk or partition stays

    def commands(self) -> list[str]:
        """What does the same in a shell, as root."""
        path = shlex.quote(self.path)
        line = shlex.quote(rf"\|^{escape_path(self.path)}[[:space:]]|d")
        return [
            *([f"swapoff {path}"] if self.on else []),
            *([f"sed -i {line} /etc/fstab"] if self.in_fstab else []),
            *([f"rm {path}"] if self.deletes else []),
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapRemoval:
    """The areas to remove, or (`done`) that were removed."""

    areas: tuple[RemovedArea, ...]
    done: bool
    as_root: bool
    wall_seconds: float = 0.0

    def render(self) -> RenderableType:
        """Build the screen for people."""
        screen = Table.grid(padding=(0, 2))
        screen.add_column()
        screen.add_column(overflow="fold")
        for area in self.areas:
            screen.add_row("removed" if self.done else "remove", Text(f"{printable(area.path)}: {_describe(area)}"))
        if self.done:
            return screen
        sudo = "" if self.as_root else "sudo "
        commands = [Text(f"  {sudo}{printable(line)}") for area in self.areas for line in area.commands()]
        return Group(screen, Text("\nthe same by hand:"), *commands)

    def to_json(self) -> dict[str, Any]:
        """The same facts for programs: sizes are integers of bytes."""
        commands = [line for area in self.areas for line in area.commands()]
        return {"schema": "oomguard.swap_removal/1", **asdict(self), "commands": commands}


def _describe(area: RemovedArea) -> str:
    parts = [format_size(area.size)]
    parts.append(f"{format_size(area.used)} of it swapped out" if area.on else "not on")
    if not area.by_oomguard:
        parts.append("not made by oomguard")
    if area.in_fstab:
        parts.append("with its line in fstab")
    parts.append("the file goes" if area.deletes else "the device stays")
    return ", ".join(parts)
