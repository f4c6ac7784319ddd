"""The swap areas of a machine, who uses them, and how fast pages move."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Group
from rich.table import Table
from rich.text import Text

from oomguard.text import printable
from oomguard.units import format_size

if TYPE_CHECKING:
    from rich.console import RenderableType

    from oomguard.formats.pressure import Pressure

_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapHolder:
    """A process with memory swapped out."""

    pid: int
    name: str
    uid: int | None
    swap: int  # bytes; a page that several share counts for each


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapSpeed:
    """How fast pages move now. Units: bytes a second."""

    read: float
    written: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressedSwap:
    """Memory that holds compressed pages. Units: bytes."""

    name: str  # "zswap", "zram0"
    holds: int  # pages, as they were
    takes: int  # memory


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaStatus:
    """One area that is on, or that oomguard made and that is off. Sizes in bytes."""

    path: str
    kind: str  # "file", "partition"; "zram"
    size: int
    used: int
    priority: int | None  # None: it is off
    made_by_oomguard: bool
    state: Literal["on", "command", "off", "left over"]  # command: on until the command of --for ends


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapStatus:
    """What is on, who holds it, how fast it moves. Sizes in bytes."""

    areas: tuple[AreaStatus, ...]
    holders: tuple[SwapHolder, ...]
    hidden_processes: bool  # this user may not see all processes' memory
    speed: SwapSpeed | None
    compressed: tuple[CompressedSwap, ...]
    zswap: bool | None
    pressure: Pressure | None
    available: int

    def render(self) -> RenderableType:
        """Build the screen for people."""
        parts: list[RenderableType] = [self._areas()]
        if self.holders:
            parts += [Text(""), self._holders()]
        screen = Table.grid(padding=(0, 2))
        screen.add_column()
        screen.add_column(overflow="fold")
        for label, value in self._lines():
            screen.add_row(label, Text(value))
        return Group(*parts, Text(""), screen)

    def _areas(self) -> RenderableType:
        if not self.areas:
            return Text("no swap is on")
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
        for heading in ("area", "kind"):
            table.add_column(heading, overflow="fold")
        for heading in ("size", "used", "priority"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("", overflow="fold")
        for area in self.areas:
            table.add_row(
                Text(printable(area.path)),
                area.kind,
                format_size(area.size),
                format_size(area.used),
                "-" if area.priority is None else str(area.priority),
                Text(_origin(area)),
            )
        return table

    def _holders(self) -> RenderableType:
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
        table.add_column("swapped out", justify="right", no_wrap=True)
        table.add_column("process", overflow="fold")
        for holder in self.holders[:_SHOWN]:
            user = "" if holder.uid is None else f", uid {holder.uid}"
            table.add_row(format_size(holder.swap), Text(f"{printable(holder.name)} (pid {holder.pid}{user})"))
        rest = self.holders[_SHOWN:]
        if rest:
            table.add_row(format_size(sum(holder.swap for holder in rest)), f"{len(rest)} more")
        return table

    def _lines(self) -> list[tuple[str, str]]:
        used = sum(area.used for area in self.areas)
        known = sum(holder.swap for holder in self.holders)
        lines = [("memory", f"{format_size(self.available)} available")]
        if used > known:
            why = "of tmpfs, shared memory" + (", other users' processes" if self.hidden_processes else "")
            lines.append(("rest", f"{format_size(used - known)} swapped out, {why}"))
        if self.speed is not None:
            lines.append(
                (
                    "speed",
                    f"now {format_size(self.speed.read)}/s read back, {format_size(self.speed.written)}/s written",
                )
            )
        if self.pressure is not None:
            lines.append(
                ("waiting", f"some task waited for memory in {100 * self.pressure.some_10s:.0f} % of the last 10 s")
            )
        lines += [
            (each.name, f"holds {format_size(each.holds)} in {format_size(each.takes)} of memory")
            for each in self.compressed
        ]
        if self.zswap is False and used:
            lines.append(("zswap", "off; echo Y | sudo tee /sys/module/zswap/parameters/enabled"))
        if any(area.state in ("left over", "off") for area in self.areas):
            lines.append(("next", "sudo oomguard swap remove, for what is off or left over"))
        return lines

    def to_json(self) -> dict[str, Any]:
        """The same facts for programs: sizes are integers of bytes, speeds bytes a second."""
        return {"schema": "oomguard.swap_status/1", **asdict(self)}


def _origin(area: AreaStatus) -> str:
    if not area.made_by_oomguard:
        return ""
    return {
        "on": "made by oomguard",
        "command": "until its command ends",
        "off": "made by oomguard, off since a boot",
        "left over": "left by a killed run",
    }[area.state]
