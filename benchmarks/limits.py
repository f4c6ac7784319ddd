"""A memory cgroup for one measured process tree, and the readings taken from outside it.

Made apart from oomguard's own code on purpose: what is measured must not be its own instrument.
Source: Linux Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

STEP_SECONDS = 0.01
V1_ROOT, V2_ROOT = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
_NO_LIMIT_V1 = 1 << 62
# Unreclaimable user memory, each page once: v1's "rss" is anonymous only. total_: with the cgroups below, as in v2.
_KEYS = {"v1": ("total_rss", "total_shmem"), "v2": ("anon", "shmem")}


def memory_cgroup_of(pid: int | str) -> Path | None:
    """Where a process is accounted, or None when it is gone or the machine has no memory controller."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return None
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return V1_ROOT / path.lstrip("/")
        if number == "0" and (V2_ROOT / "cgroup.controllers").exists():
            return V2_ROOT / path.lstrip("/")
    return None


def version_of(cgroup: Path) -> str:
    return "v1" if (cgroup / "memory.limit_in_bytes").exists() else "v2"


@dataclass(slots=True, kw_only=True)
class Reading:
    """The most that was seen of one process tree. Bytes; None: the kernel did not say."""

    peak_unreclaimable: int = 0  # anonymous + shmem, sampled
    peak_with_kernel: int = 0  # the same with kernel memory, part of which the kernel could take back
    peak_usage: int | None = None  # the kernel's high-water mark, page cache included: exact in time
    samples: int = 0
    longest_gap_seconds: float = 0.0
    oom_kills: int = 0
    input_reached: int | None = None  # the furthest read position in the input that any process had
    cgroups_left: int = 0  # of those that the job made itself, still there when it had ended


@dataclass(slots=True)
class Limited:
    """A new cgroup; `enter` is for subprocess' preexec_fn. Use as a context: at its end it is emptied and removed."""

    memory_max: int | None
    path: Path | None = None
    why_not: str = ""
    _version: str = ""

    def __enter__(self) -> Self:
        try:
            self._make(Path(f"oomguard-bench-{os.getpid()}-{time.monotonic_ns()}"))
        except OSError as error:
            self.path, self.why_not = None, f"no memory cgroup: {error}"
        return self

    def _make(self, name: Path) -> None:
        own = memory_cgroup_of("self")
        if own is None:
            raise OSError("no memory controller here")
        self._version = version_of(own) if own != V2_ROOT else "v2"
        if self._version == "v1":
            self.path = own / name
            self.path.mkdir()
            if self.memory_max is not None:
                (self.path / "memory.limit_in_bytes").write_text(str(self.memory_max))
                with contextlib.suppress(FileNotFoundError):  # no swap accounting: then there is nothing to close
                    (self.path / "memory.memsw.limit_in_bytes").write_text(str(self.memory_max))
        else:
            # Beside ours, not below: on v2 a cgroup with processes of its own can have no children with controllers.
            self.path = (own.parent if own != V2_ROOT else own) / name
            self.path.mkdir()
            if not (self.path / "memory.stat").exists():
                self.path.rmdir()
                raise OSError(f"the memory controller is not enabled in {self.path.parent}/cgroup.subtree_control")
            (self.path / "memory.max").write_text(str(self.memory_max or "max"))
            with contextlib.suppress(FileNotFoundError):
                (self.path / "memory.swap.max").write_text("0" if self.memory_max else "max")

    def enter(self) -> None:
        """Move the calling process in. Called between fork and exec."""
        if self.path is not None:
            (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def __exit__(self, *_: object) -> None:
        if self.path is None:
            return
        for _try in range(200):
            for pid in pids_below(self.path):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(OSError):
                for child in sorted(self.path.glob("**/"), key=lambda path: -len(path.parts)):
                    child.rmdir()
            if not self.path.exists():
                return
            time.sleep(0.05)


def pids_below(cgroup: Path) -> list[int]:
    """Every process of a cgroup and of those below it."""
    found = []
    for file in cgroup.glob("**/cgroup.procs"):
        with contextlib.suppress(OSError):
            found += [int(pid) for pid in file.read_text().split()]
    return found


@dataclass(slots=True)
class Watch:
    """Reads the memory of one cgroup, and of any further cgroup that the tree's processes moved to."""

    root_pid: int
    cgroup: Path | None
    input_path: Path | None = None
    marker: bytes | None = None  # in the environment of every process of the job: finds those that left the tree
    reading: Reading = field(default_factory=Reading)
    cgroups: set[Path] = field(default_factory=set)
    visited: set[Path] = field(default_factory=set)
    _last: float = 0.0
    _searched: float = 0.0

    def step(self) -> None:
        """Take one sample; look for moved processes 5 times a second."""
        now = time.monotonic()
        if self._last:
            self.reading.longest_gap_seconds = max(self.reading.longest_gap_seconds, now - self._last)
        self._last = now
        if now - self._searched > 0.2:
            self._searched = now
            self._search()
        user = kernel = 0
        for cgroup in self.cgroups:
            more_user, more_kernel = memory_of(cgroup)
            user, kernel = user + more_user, kernel + more_kernel
        reading = self.reading
        reading.samples += 1
        reading.peak_unreclaimable = max(reading.peak_unreclaimable, user)
        reading.peak_with_kernel = max(reading.peak_with_kernel, user + kernel)

    def finish(self) -> Reading:
        """The kernel's own marks, read while the cgroup still exists."""
        if self.cgroup is not None:
            self.reading.peak_usage = _number(self.cgroup / "memory.max_usage_in_bytes") or _number(
                self.cgroup / "memory.peak"
            )
            self.reading.oom_kills = oom_kills(self.cgroup)
        self.reading.cgroups_left = sum(place.exists() for place in self.visited - {self.cgroup})
        return self.reading

    def pids(self) -> list[int]:
        """The processes of the job that live now."""
        if self.marker is not None:
            return pids_marked(self.marker)
        return pids_below(self.cgroup) if self.cgroup else descendants(self.root_pid)

    def _search(self) -> None:
        pids = self.pids()
        places = {place for pid in pids if (place := memory_cgroup_of(pid)) is not None}
        places = {place for place in places if "oomguard" in place.name}  # not the session that started us
        places |= {self.cgroup} if self.cgroup else set()
        self.visited |= places
        # Keep the topmost only: an outer cgroup's figures contain the inner one's.
        every = self.cgroups | places
        self.cgroups = {place for place in every if not any(other in place.parents for other in every)}
        if self.input_path is not None:
            self._read_positions(pids)

    def _read_positions(self, pids: list[int]) -> None:
        for pid in pids:
            with contextlib.suppress(OSError):
                for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        if descriptor.readlink() == self.input_path:
                            position = int(Path(f"/proc/{pid}/fdinfo/{descriptor.name}").read_text().split()[1])
                            self.reading.input_reached = max(self.reading.input_reached or 0, position)


def memory_of(cgroup: Path) -> tuple[int, int]:
    try:
        stat = (cgroup / "memory.stat").read_text()
    except OSError:
        return 0, 0
    version = "v1" if "\ntotal_rss " in stat else "v2"
    user = sum(int(match[1]) for key in _KEYS[version] if (match := re.search(rf"^{key} (\d+)", stat, re.MULTILINE)))
    if version == "v1":
        return user, _number(cgroup / "memory.kmem.usage_in_bytes") or 0
    kernel = re.search(r"^kernel (\d+)", stat, re.MULTILINE)
    return user, int(kernel[1]) if kernel else 0


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def oom_kills(cgroup: Path) -> int:
    """Processes the kernel killed for this cgroup's limit."""
    for name in ("memory.events", "memory.oom_control"):
        with contextlib.suppress(OSError):
            match = re.search(r"^oom_kill (\d+)", (cgroup / name).read_text(), re.MULTILINE)
            return int(match[1]) if match else 0
    return 0


def pids_marked(marker: bytes) -> list[int]:
    """Processes whose environment holds `marker`; a zombie has no environment and is not found."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if marker in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
    return found


def descendants(pid: int) -> list[int]:
    """A process and its children's children."""
    found = [pid]
    for each in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def cgroups_of_runs(pids: set[int]) -> set[Path]:
    """The memory cgroups that oomguard made as one of these processes: it calls them oomguard-PID."""
    root = V1_ROOT if V1_ROOT.exists() else V2_ROOT
    return {
        path
        for path in root.glob("**/oomguard-[0-9]*/")
        if (match := re.match(r"oomguard-(\d+)", path.name)) and int(match[1]) in pids
    }
