"""What the kernel tells of a job's cgroup: that its limit is met, that it has grown, how much it held at the most.

v1 tells by eventfds: when a process was parked, and when the job holds as much as it was asked about. v2 tells by
memory.events, and since Linux 6.12 its memory.peak can be set back.
"""

from __future__ import annotations

import errno
import os
import select
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from oomguard.formats.cgroup import parse_count, parse_limit
from oomguard.kernel.cgroup import directory as cgroup_files
from oomguard.kernel.cgroup.directory import read_kernel_text

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.kernel.cgroup.directory import MemcgDir

LARGEST_FOLIO = 2 << 20  # bytes: what is charged at once, and so may be missing to a limit that was met
_GROWTH_STEPS = 48  # in the upper half of the budget
_ASKS_PART = 10  # to ask for one takes at most so small a part of the time: meanwhile nobody looks at the job
_SURE_LOOKS, _SURE_STEP_SECONDS = 4, 0.002


class CgroupEvents:
    """Of one cgroup, whose limits are set."""

    def __init__(self, memcg: MemcgDir, budget: int, *, is_watched: bool) -> None:
        """Ask to be told, if somebody watches; v1 parks the job at its hard limit then. Raises: OSError."""
        self._memcg = memcg
        self._budget = budget
        self._oom_event: int | None = None  # v1: readable when a process was parked
        self._growth_event: int | None = None  # v1: readable when the job grew by another step
        self._next_step = 0  # v1: the memory at which it will be
        self._step_was_met = False
        self._next_ask = 0.0
        self._events_file: int | None = None  # v2: memory.events; POLLPRI when it changed
        self._peak_file: int | None = None  # v2: memory.peak
        self._highest = 0  # v1: the mark, before it was set back
        if not is_watched:
            return
        if memcg.version == 1:
            self._oom_event = _park_at_the_limit(memcg.path)
            self._growth_event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            self._next_step = budget // 2
            self._ask_for_step()
        else:
            self._events_file = os.open(memcg.path / "memory.events", os.O_RDONLY | os.O_CLOEXEC)
            with suppress(OSError):  # before Linux 6.12 it cannot be written
                self._peak_file = os.open(memcg.path / "memory.peak", os.O_RDWR | os.O_CLOEXEC)

    def set_budget(self, budget: int) -> None:
        """Ask about steps up to another budget from now on."""
        self._budget = budget

    def wake_on(self) -> list[tuple[int, int]]:
        """Descriptors, each with its poll events, that tell of the limit."""
        if self._oom_event is not None:
            if self._step_was_met and (now := time.monotonic()) >= self._next_ask:  # only now: the look was first
                self._step_was_met = False
                self._after_step()
                self._next_ask = time.monotonic() + _ASKS_PART * (time.monotonic() - now)
            steps = [] if self._growth_event is None else [(self._growth_event, select.POLLIN)]
            return [(self._oom_event, select.POLLIN), *steps]
        return [] if self._events_file is None else [(self._events_file, select.POLLPRI)]

    def is_at_the_limit(self) -> bool:
        """Whether the kernel said, since the last time this was asked, that the limits hold the job up.

        v1: a process is parked. v2: the hard limit was met (memory.high alone may be for page cache).
        """
        if self._oom_event is not None:
            with suppress(BlockingIOError):
                os.read(self._oom_event, 8)
            if self._growth_event is not None:
                with suppress(BlockingIOError):
                    os.read(self._growth_event, 8)
                    self._step_was_met = True
            return self._is_parked()
        if self._events_file is not None:
            with suppress(OSError):  # the cgroup is gone
                os.pread(self._events_file, 4096, 0)  # arms POLLPRI again
        return False

    def highest(self) -> int | None:
        """The kernel's high-water mark, whether it was set back or not. None: v2 before Linux 5.19."""
        charged = self._memcg.peak_charged()
        return charged if charged is None else max(charged, self._highest)

    def take_mark(self) -> int | None:
        """That mark since this was asked last. None: v2 before Linux 6.12, which cannot set it back."""
        try:
            if self._memcg.version == 1:
                mark = self._memcg.peak_charged()
                self._highest = max(self._highest, mark or 0)
                cgroup_files.write_setting(self._memcg.path, "memory.max_usage_in_bytes", 0)
                return mark
            if self._peak_file is None:
                return None
            # For this descriptor alone: who reads memory.peak anew has that of all time.
            mark = parse_count(os.pread(self._peak_file, 64, 0).decode("ascii", errors="replace"))
            os.pwrite(self._peak_file, b"reset\n", 0)
        except OSError:
            return None
        return mark

    def close(self) -> None:
        """Ask no more."""
        for fd in filter(None, (self._oom_event, self._growth_event, self._events_file, self._peak_file)):
            os.close(fd)
        self._growth_event = None
        self._oom_event = self._events_file = self._peak_file = None

    def _is_parked(self) -> bool:
        """Whether v1 parks the job at its own limit.

        A cgroup above that is out of memory marks all below it too, and tells them, while the kernel kills there.
        """
        for _ in range(_SURE_LOOKS):
            if not _is_under_oom(self._memcg.path):
                return False
            if self._is_full():
                return True
            time.sleep(_SURE_STEP_SECONDS)
            if _is_under_oom(self._memcg.path.parent):
                return False
        return True

    def _is_full(self) -> bool:
        """Whether as much is charged as its hard limit lets."""
        for kind in ("memory", "memory.memsw"):
            used = parse_count(self._memcg.read(f"{kind}.usage_in_bytes") or "")
            limit = parse_limit(self._memcg.read(f"{kind}.limit_in_bytes") or "")
            if used is not None and limit is not None and used >= limit - LARGEST_FOLIO:
                return True
        return False

    def _ask_for_step(self) -> None:
        """Let the kernel tell when the job holds as much as the next step: from half of the budget on, while it grows.

        Who asks then finds the program in the line that grows, where a timer finds it where it waits. One step at a
        time: for each the kernel waits until all CPUs have seen it (synchronize_rcu), 10 ms here.
        """
        assert self._growth_event is not None
        try:
            usage = os.open(self._memcg.path / "memory.usage_in_bytes", os.O_RDONLY | os.O_CLOEXEC)
            try:
                asked = f"{self._growth_event} {usage} {self._next_step}"
                cgroup_files.write_setting(self._memcg.path, "cgroup.event_control", asked)
            finally:
                os.close(usage)
        except OSError:
            os.close(self._growth_event)
            self._growth_event = None

    def _after_step(self) -> None:
        """Ask for the next step above what the job holds now."""
        step = self._budget // 2 // _GROWTH_STEPS or 1
        held = parse_limit(self._memcg.read("memory.usage_in_bytes") or "") or 0
        self._next_step = max(self._next_step, held) + step
        if self._next_step < self._budget:
            self._ask_for_step()


def _is_under_oom(path: Path) -> bool:
    return parse_count(read_kernel_text(path / "memory.oom_control") or "", "under_oom") == 1


def _park_at_the_limit(path: Path) -> int:
    """Park processes at the limit instead of killing them; an eventfd that tells. Raises: OSError."""
    cgroup_files.write_setting(path, "memory.oom_control", 1)
    event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    try:
        control = os.open(path / "memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
        try:
            cgroup_files.write_setting(path, "cgroup.event_control", f"{event} {control}")
        finally:
            os.close(control)
    except BaseException:
        os.close(event)
        raise
    if parse_count(read_kernel_text(path / "memory.oom_control") or "", "oom_kill_disable") != 1:
        os.close(event)
        raise OSError(errno.EOPNOTSUPP, "memory.oom_control did not take 1")
    return event
