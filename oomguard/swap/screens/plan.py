"""What `swap` would do: every command that it stands for, and whether it will help."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Group
from rich.table import Table
from rich.text import Text

from oomguard.text import printable
from oomguard.units import format_size

if TYPE_CHECKING:
    from rich.console import RenderableType

    from oomguard.swap.model import PlaceFacts

StepKind = Literal[
    "subvolume", "create", "mode", "no_copy_on_write", "pin", "allocate", "zeros", "format", "enable", "verify",
    "backup", "fstab",
]  # fmt: skip

_DISKS = {
    "nvme": "NVMe disk", "ssd": "SSD", "hdd": "spinning disk", "card": "memory card", "virtual": "virtual disk",
    "loop": "loop device", "memory": "RAM disk", "network": "network disk", "unknown": "disk",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapStep:
    """One step, and the command that does the same in a shell."""

    kind: StepKind
    command: str
    stdin: str | None = None  # a line that the command reads
    comment: str = ""

    def shell(self, *, sudo: bool) -> str:
        """The line to paste, with `sudo` where the user is not root."""
        line = f"sudo {self.command}" if sudo else self.command
        if self.stdin is not None:
            line = f"printf '%s\\n' {shlex.quote(self.stdin)} | {line}"
        return f"{line}  # {self.comment}" if self.comment else line


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapConcern:
    """Something that the user should know before swap is made."""

    effect: Literal["none", "slow", "note"]  # swap will not help | helps slowly | good to know
    text: str
    command: str | None = None  # what changes it


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapPlan:
    """A swap file to be made. Sizes in bytes; no step: it is not needed."""

    size: int
    because: str  # where the size comes from, where it was not simply asked for
    place: PlaceFacts | None
    priority: int | None
    persist: bool
    for_command: bool
    fstab_line: str | None
    steps: tuple[SwapStep, ...]
    concerns: tuple[SwapConcern, ...]
    as_root: bool

    @property
    def path(self) -> str:
        """The swap file to be."""
        return self.place.path if self.place else ""

    @property
    def helps(self) -> Literal["yes", "slowly", "no"]:
        """Whether a job started here would get on better with it."""
        effects = {concern.effect for concern in self.concerns}
        return "no" if "none" in effects else "slowly" if "slow" in effects else "yes"

    @property
    def write_seconds(self) -> float | None:
        """How long the disk takes to write the whole area once."""
        return self.size / self.place.disk.bytes_per_second if self.place else None

    def render(self) -> RenderableType:
        """Build the screen for people."""
        screen = Table.grid(padding=(0, 2))
        screen.add_column()
        screen.add_column(overflow="fold")
        for label, value in self._lines():
            screen.add_row(label, Text(value))
        commands = [Text(f"  {printable(step.shell(sudo=not self.as_root))}") for step in self.steps]
        if not commands:
            return screen
        return Group(screen, Text("\nthe same by hand:"), *commands)

    def _lines(self) -> list[tuple[str, str]]:
        if self.place is None:
            return [("swap", f"none is needed: {self.because}")]
        left = self.place.free - self.size
        lines = [
            ("swap", f"{format_size(self.size)} at {printable(self.path)}"),
            *([("size", self.because)] if self.because else []),
            ("disk", f"{printable(self.place.mount_point)} ({printable(self.place.file_system)}, {self._disk()})"),
            (
                "room",
                f"{format_size(self.place.free)} free of {format_size(self.place.total)}, {format_size(left)} remain",
            ),
            ("speed", self._speed()),
            ("lasts", self._lasts()),
            ("helps", {"yes": "yes", "slowly": "yes, slowly; see below", "no": "no; see below"}[self.helps]),
        ]
        for concern in self.concerns:
            lines.append(("note" if concern.effect == "note" else "but", printable(concern.text)))
            if concern.command:
                lines.append(("", f"  {printable(concern.command)}"))
        return lines

    def _lasts(self) -> str:
        if self.for_command:
            return "until the command ends"
        return "from boot to boot, by a line in fstab" if self.persist else "until it is removed, or the next boot"

    def _disk(self) -> str:
        assert self.place is not None
        disk = self.place.disk
        return f"{_DISKS[disk.kind]} {printable(disk.name)}".rstrip()

    def _speed(self) -> str:
        assert self.place is not None
        disk, seconds = self.place.disk, self.write_seconds or 0.0
        rate = f"{disk.bytes_per_second / 1e9:.2f} GB/s"
        source = "measured by reading" if disk.measured else "as such disks usually do; not measured"
        return f"about {rate} ({source}): {_duration(seconds)} to write all of it once"

    def to_json(self) -> dict[str, Any]:
        """The same facts for programs: sizes are integers of bytes."""
        return {
            "schema": "oomguard.swap_plan/1",
            **asdict(self),
            "path": self.path or None,
            "helps": self.helps,
            "write_seconds": self.write_seconds,
            "commands": [step.shell(sudo=not self.as_root) for step in self.steps],
        }


def _duration(seconds: float) -> str:
    if seconds < 1:
        return "less than a second"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
