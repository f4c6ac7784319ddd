"""What is known of swap, planned for it, and done about it. Sizes in bytes."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from oomguard.formats.mounts import escape_path
from oomguard.text import Drawn

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.formats.proc import Pressure, SwapArea
    from oomguard.kernel.model import DiskFacts

StepKind = Literal[
    "subvolume", "create", "mode", "no_copy_on_write", "pin", "allocate", "zeros", "format", "enable", "verify",
    "backup", "fstab",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapOptions:
    """What swap to make. One of `size` (bytes) and `report` is needed."""

    size: int | None = None
    report: Path | None = None  # the JSON of diagnose, profile or run, which tells the size
    path: Path | None = None  # a file to be, or a folder for it; None: the fastest suitable disk with room
    priority: int | None = None  # 0 to 32767; None: below all that are on
    persist: bool = False  # on again after each boot
    for_command: bool = False  # for run_with_swap(): the plan then says so


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceFacts:
    """A path where a swap file may go."""

    path: str  # absolute, without "." and ".."
    mount_point: str
    file_system: str  # as mounted: "ext4", "fuse.sshfs"
    read_only: bool
    free: int  # for new files, what is reserved for others left out
    total: int
    disk: DiskFacts
    existing: str | None  # what is at the path already: "a file", "a folder" ...; None: nothing
    symlink: str | None  # the first part of the path that is a symbolic link
    missing_folder: str | None  # the first folder of the path that does not exist
    foreign_folder: str | None  # a folder on the way that others may change, in words: "/home/a belongs to uid 1000"
    new_subvolume: str | None = None  # btrfs: the folder to make, as a subvolume of its own, for the file
    btrfs_devices: int = 1
    btrfs_profiles: tuple[str, ...] = ()  # of its data: "single", "raid1" ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapMachine:
    """What of the machine decides whether swap can be made, and whether it helps."""

    kernel: tuple[int, int]
    ram: int | None
    available: int  # for a new job: what the machine has left, or a memory cgroup above it, if that is less
    limited_by: str  # whose that is, in words
    areas: tuple[SwapArea, ...]
    zswap: bool | None  # None: not in this kernel
    swap_max: int | None  # the least that a memory cgroup above this process lets it swap; None: no limit
    swap_max_of: str  # whose that is: "cgroup /x"
    container: str | None  # "docker" ...
    root_may_swapon: bool  # root has CAP_SYS_ADMIN here, and in the machine's own user namespace
    missing_tools: tuple[str, ...]
    fstab_targets: frozenset[str] = frozenset({"/"})  # where fstab mounts something


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
class SwapPlan(Drawn):
    """A swap file to be made. Sizes in bytes; no step: it is not needed."""

    _screen: ClassVar[str] = "oomguard.swap.screens:render_plan"

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


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapAdded(Drawn):
    """A swap area that is on, or was on while a command ran. Sizes in bytes."""

    _screen: ClassVar[str] = "oomguard.swap.screens:render_added"

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
class SwapRemoval(Drawn):
    """The areas to remove, or (`done`) that were removed."""

    _screen: ClassVar[str] = "oomguard.swap.screens:render_removal"

    areas: tuple[RemovedArea, ...]
    done: bool
    as_root: bool
    wall_seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The same facts for programs: sizes are integers of bytes."""
        commands = [line for area in self.areas for line in area.commands()]
        return {"schema": "oomguard.swap_removal/1", **asdict(self), "commands": commands}


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
class SwapStatus(Drawn):
    """What is on, whose memory is in it, how fast it moves. Sizes in bytes."""

    _screen: ClassVar[str] = "oomguard.swap.screens:render_status"

    areas: tuple[AreaStatus, ...]
    holders: tuple[SwapHolder, ...]
    hidden_processes: bool  # this user may not see all processes' memory
    speed: SwapSpeed | None
    compressed: tuple[CompressedSwap, ...]
    zswap: bool | None
    pressure: Pressure | None
    available: int

    def to_json(self) -> dict[str, Any]:
        """The same facts for programs: sizes are integers of bytes, speeds bytes a second."""
        return {"schema": "oomguard.swap_status/1", **asdict(self)}
