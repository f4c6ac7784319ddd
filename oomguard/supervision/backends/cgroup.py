"""A memory cgroup for a job, with its supervisor outside: it is held at its budget, read, and raised or ended.

v2: memory.high slows the job down and tells by memory.events; memory.max lies above. v1: memory.oom_control = 1
parks a process in the very page fault that would pass the hard limit, and tells by an eventfd. Where v1 is beside a
v2 hierarchy, the job gets a cgroup there too, for its freezer and its cgroup.kill.
Source: Linux Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst (sections 9 and 10).
"""

from __future__ import annotations

import errno
import os
import select
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.formats.cgroup import parse_count, parse_limit, parse_proc_cgroup
from oomguard.formats.proc import parse_meminfo
from oomguard.kernel.cgroup import directory as cgroup_files
from oomguard.kernel.cgroup.directory import MemcgDir, read_kernel_text
from oomguard.kernel.cgroup.freezer import CgroupFreezer, StopSignals
from oomguard.kernel.cgroup.limits import set_memory_max
from oomguard.kernel.cgroup.refusals import LimitDidNotStick
from oomguard.kernel.process import signal_if
from oomguard.records import dataclass
from oomguard.supervision.backends.base import MemoryReading
from oomguard.supervision.rules.limits import JobLimits, plan_job_limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.formats.proc import ProcStat
    from oomguard.kernel.model import LimitAbove
    from oomguard.supervision.options import Way

_KILL_PATIENCE_SECONDS = 10.0
_GROWTH_STEPS = 48  # in the upper half of the budget
_ASKS_PART = 10  # to ask for one takes at most so small a part of the time: meanwhile nobody looks at the job
_SURE_LOOKS, _SURE_STEP_SECONDS = 4, 0.002
_LARGEST_FOLIO = 2 << 20  # bytes: what is charged at once, and so may be missing to a limit that was met


@dataclass(kw_only=True)
class CgroupBackend:
    """The cgroup of a job. Made empty; add() puts processes in."""

    kind: Way  # "cgroup v1", "cgroup v2", "systemd scope"
    memcg: MemcgDir
    limits: JobLimits
    caveats: tuple[str, ...]
    swap_max: int | None  # None: no limit
    companion: Path | None  # a v2 cgroup without controllers, beside a v1 memory cgroup
    undo: Callable[[], None]
    above: Callable[[], list[LimitAbove]]  # what holds for it from elsewhere, read anew
    keeps_itself: bool = False  # the job keeps its budget itself, and the kernel kills at the hard limit
    _oom_event: int | None = None  # v1: readable when a process was parked
    _growth_event: int | None = None  # v1: readable when the job grew by another step
    _next_step: int = 0  # v1: the memory at which it will be
    _step_was_met: bool = False
    _next_ask: float = 0.0
    _events_file: int | None = None  # v2: memory.events; POLLPRI when it changed
    _peak_file: int | None = None  # v2: memory.peak
    _highest: int = 0  # v1: the mark, before it was set back
    _oom_kills_before: int = 0
    _stopper: StopSignals | None = None

    def __post_init__(self) -> None:
        """Ask to be told, and take what a reused cgroup counted before as zero."""
        self._oom_kills_before = self.memcg.oom_kills() or 0
        if self.keeps_itself:
            return
        if self.memcg.version == 1:
            self._oom_event = _park_at_the_limit(self.memcg.path)
            self._growth_event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            self._next_step = self.limits.budget // 2
            self._ask_for_step()
        else:
            self._events_file = os.open(self.memcg.path / "memory.events", os.O_RDONLY | os.O_CLOEXEC)
            with suppress(OSError):  # before Linux 6.12 it cannot be written
                self._peak_file = os.open(self.memcg.path / "memory.peak", os.O_RDWR | os.O_CLOEXEC)

    @property
    def cgroup(self) -> Path:
        """Its directory."""
        return self.memcg.path

    @property
    def cannot(self) -> str:
        """What this enforcement does not do, for people."""
        if self.kind == "systemd scope" and os.getuid() != 0:
            return "systemd ends it with your last login session (loginctl enable-linger keeps it)"
        return ""

    def add(self, pid: int) -> None:
        """Move a process in, with all it starts later. Raises: OSError; LimitDidNotStick if it is not in then."""
        cgroup_files.write_setting(self.memcg.path, "cgroup.procs", pid)
        if self.companion is not None:
            try:
                cgroup_files.write_setting(self.companion, "cgroup.procs", pid)
            except OSError:
                # v1, whose cgroups are made below one's own: back there, or it keeps a limit that nobody lifts.
                cgroup_files.write_setting(self.memcg.path.parent, "cgroup.procs", pid)
                raise
        if not self._has(pid):
            raise LimitDidNotStick("the job was moved into", self.memcg.path, pid, "another cgroup")

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

    def read_memory(self, *, exact: bool = False) -> MemoryReading:  # noqa: ARG002 - the kernel's own account always is
        """What the job holds now."""
        stat = self.memcg.memory_stat()
        return MemoryReading(
            unreclaimable=stat.unreclaimable or 0, shmem=stat.shmem or 0, cache=stat.file or 0, exact=True
        )

    def peak_with_cache(self) -> int | None:
        """The kernel's high-water mark, page cache in it; exact in time. None: v2 before Linux 5.19."""
        charged = self.memcg.peak_charged()
        return charged if charged is None else max(charged, self._highest)

    def take_mark(self) -> int | None:
        """That mark since this was asked last. None: v2 before Linux 6.12, which cannot set it back."""
        try:
            if self.memcg.version == 1:
                mark = self.memcg.peak_charged()
                self._highest = max(self._highest, mark or 0)
                cgroup_files.write_setting(self.memcg.path, "memory.max_usage_in_bytes", 0)
                return mark
            if self._peak_file is None:
                return None
            # For this descriptor alone: who reads memory.peak anew has that of all time.
            mark = parse_count(os.pread(self._peak_file, 64, 0).decode("ascii", errors="replace"))
            os.pwrite(self._peak_file, b"reset\n", 0)
        except OSError:
            return None
        return mark

    def oom_kills(self, *, ended_by_sigkill: bool) -> int:  # noqa: ARG002 - its own counter needs no second witness
        """How many of its processes the kernel killed for memory."""
        return (self.memcg.oom_kills() or 0) - self._oom_kills_before

    def met_its_limit(self) -> bool:
        """Whether it was charged as far as the hard limit, page cache counted in, where v1 refuses system calls memory.

        Not by memory.failcnt: Linux 6.18 does not count there. v2's kernel kills instead, and counts that.
        """
        return self.memcg.version == 1 and (self.peak_with_cache() or 0) >= self.limits.hard - _LARGEST_FOLIO

    def swap_left(self) -> int:
        """How much more of the job may be swapped out: what its limit leaves, and the machine has. Units: bytes."""
        if self.swap_max == 0:
            return 0
        machine = parse_meminfo(read_kernel_text(Path("/proc/meminfo")) or "").swap_free or 0
        if self.swap_max is None:
            return machine
        if self.memcg.version == 2:
            used = parse_count(self.memcg.read("memory.swap.current") or "")
        else:
            both = parse_count(self.memcg.read("memory.memsw.usage_in_bytes") or "")
            alone = parse_count(self.memcg.read("memory.usage_in_bytes") or "")
            used = None if both is None or alone is None else both - alone
        return min(machine, max(0, self.swap_max - (used or 0)))

    def pids(self) -> list[int]:
        """Its processes, those in cgroups below counted in."""
        pids: dict[int, None] = {}
        for folder, _, _ in os.walk(self.memcg.path):
            pids |= {int(pid): None for pid in (read_kernel_text(Path(folder, "cgroup.procs")) or "").split()}
        return list(pids)

    def freeze(self) -> bool:
        """Hold every process where it is; False: one still runs, in a system call.

        Raises: OSError if the kernel refuses.
        """
        return self._freezer().freeze()

    def thaw(self) -> None:
        """Let them continue. Raises: nothing."""
        self._freezer().thaw()

    def plan_budget(self, budget: int) -> JobLimits:
        """The limits that set_budget() would set: less where a cgroup above allows less."""
        return plan_job_limits(budget, self.above(), reserve=not self.keeps_itself)

    def set_budget(self, limits: JobLimits, *, swap_max: int | None) -> None:
        """Raise (or lower) the budget, and read it back. A job that holds more is killed by v2; v1 refuses.

        Raises: OSError as the kernel answers; LimitDidNotStick.
        """
        self.swap_max = swap_max
        self._set_hard(limits.hard)
        if self.memcg.version == 2 and not self.keeps_itself:
            cgroup_files.write_setting(self.memcg.path, "memory.high", limits.slow)
        self.limits = limits

    def give_grace(self) -> None:
        """Give a reserve back, so that the job can run the code that ends it. Raises: nothing."""
        try:
            self._set_hard(self.limits.grace)
            if self.memcg.version == 2:
                cgroup_files.write_setting(self.memcg.path, "memory.high", "max")
        except (OSError, LimitDidNotStick):
            return  # a cgroup above has no more: then it ends with what it has

    def leave_to_the_kernel(self) -> None:
        """From now on nobody watches: let the kernel kill at the hard limit, and make nobody wait for ever."""
        try:
            if self.memcg.version == 1:
                cgroup_files.write_setting(self.memcg.path, "memory.oom_control", 0)
            else:
                cgroup_files.write_setting(self.memcg.path, "memory.high", "max")
        except OSError:
            return

    def signal(self, number: int, only: Callable[[int], bool] = lambda _: True) -> None:
        """Send a signal to each of its processes, or to those of them that `only` names. Raises: nothing."""
        for pid in filter(only, self.pids()):
            signal_if(pid, number, self._is_member)

    def kill(self) -> None:
        """SIGKILL all of it, frozen or parked, and wait until nothing is left. Raises: nothing."""
        until = time.monotonic() + _KILL_PATIENCE_SECONDS
        while self.pids() and time.monotonic() < until:
            if not self._kill_at_once():
                self.signal(signal.SIGKILL)
            time.sleep(0.002)
        self.thaw()

    def take_over(self) -> None:
        """The reaper is gone: what is in the cgroup is in it all the same."""

    def close(self) -> None:
        """Remove the cgroup; one with processes in it stays. Raises: nothing."""
        for fd in filter(None, (self._oom_event, self._growth_event, self._events_file, self._peak_file)):
            os.close(fd)
        self._growth_event = None
        self._oom_event = self._events_file = self._peak_file = None
        if self.companion is not None:
            cgroup_files.remove_when_empty(self.companion)
        self.undo()

    def _set_hard(self, hard: int) -> None:
        before = self.memcg.memory_max() or 0
        if self.memcg.version == 1 and self.memcg.has_swap_accounting():
            # Memory and swap together may never be less than memory alone.
            value = -1 if self.swap_max is None else hard + self.swap_max
            if hard >= before:
                cgroup_files.write_setting(self.memcg.path, "memory.memsw.limit_in_bytes", value)
                set_memory_max(self.memcg, hard)
                return
            set_memory_max(self.memcg, hard)
            cgroup_files.write_setting(self.memcg.path, "memory.memsw.limit_in_bytes", value)
            return
        set_memory_max(self.memcg, hard)
        if self.memcg.version == 2 and self.memcg.has_swap_accounting():
            swap = "max" if self.swap_max is None else self.swap_max
            cgroup_files.write_setting(self.memcg.path, "memory.swap.max", swap)

    def _is_parked(self) -> bool:
        """Whether v1 parks the job at its own limit.

        A cgroup above that is out of memory marks all below it too, and tells them, while the kernel kills there.
        """
        for _ in range(_SURE_LOOKS):
            if not _is_under_oom(self.memcg.path):
                return False
            if self._is_full():
                return True
            time.sleep(_SURE_STEP_SECONDS)
            if _is_under_oom(self.memcg.path.parent):
                return False
        return True

    def _is_full(self) -> bool:
        """Whether as much is charged as its hard limit lets."""
        for kind in ("memory", "memory.memsw"):
            used = parse_count(self.memcg.read(f"{kind}.usage_in_bytes") or "")
            limit = parse_limit(self.memcg.read(f"{kind}.limit_in_bytes") or "")
            if used is not None and limit is not None and used >= limit - _LARGEST_FOLIO:
                return True
        return False

    def _ask_for_step(self) -> None:
        """Let the kernel tell when the job holds as much as the next step: from half of the budget on, while it grows.

        Who asks then finds the program in the line that grows, where a timer finds it where it waits. One step at a
        time: for each the kernel waits until all CPUs have seen it (synchronize_rcu), 10 ms here.
        """
        assert self._growth_event is not None
        try:
            usage = os.open(self.memcg.path / "memory.usage_in_bytes", os.O_RDONLY | os.O_CLOEXEC)
            try:
                asked = f"{self._growth_event} {usage} {self._next_step}"
                cgroup_files.write_setting(self.memcg.path, "cgroup.event_control", asked)
            finally:
                os.close(usage)
        except OSError:
            os.close(self._growth_event)
            self._growth_event = None

    def _after_step(self) -> None:
        """Ask for the next step above what the job holds now."""
        step = self.limits.budget // 2 // _GROWTH_STEPS or 1
        held = parse_limit(self.memcg.read("memory.usage_in_bytes") or "") or 0
        self._next_step = max(self._next_step, held) + step
        if self._next_step < self.limits.budget:
            self._ask_for_step()

    def _freezer(self) -> CgroupFreezer | StopSignals:
        path = self.memcg.path if self.memcg.version == 2 else self.companion
        if path is not None and (path / "cgroup.freeze").exists():
            return CgroupFreezer(path, self.pids)
        if self._stopper is None:
            self._stopper = StopSignals(self.pids, lambda _: self._is_member)
        return self._stopper

    def _kill_at_once(self) -> bool:
        path = self.memcg.path if self.memcg.version == 2 else self.companion
        try:
            if path is None:
                return False
            cgroup_files.write_setting(path, "cgroup.kill", 1)  # since Linux 5.14
        except OSError:
            return False
        return True

    def _is_member(self, stat: ProcStat) -> bool:
        return self._has(stat.pid)

    def _has(self, pid: int) -> bool:
        cgroups = parse_proc_cgroup(read_kernel_text(Path(f"/proc/{pid}/cgroup")) or "")
        cgroup = cgroups.get("memory" if self.memcg.version == 1 else "")
        return cgroup is not None and f"{self.memcg.name}/" in f"{cgroup}/"


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
