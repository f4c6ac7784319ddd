"""A job that does what a test says, and a /proc of processes that do not exist: no root, no process, no waiting."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from oomguard.supervision.backends.base import MemoryReading
from oomguard.supervision.reaper import JobEvent
from oomguard.supervision.rules.limits import JobLimits, plan_job_limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MIB = 1 << 20
BUDGET = 100 * MIB
JOB = (1 << 22) + 1  # no process has that number


@dataclass
class FakeBackend:
    """Holds what `held` says, step by step, and then its last value; writes down what is done to it."""

    held: list[int]
    on: dict[str, Callable[[], None]] = field(default_factory=dict)  # called when that is done to it
    stands_still: bool = True
    swap: int = 0
    log: list[str] = field(default_factory=list)
    limits: JobLimits = field(default_factory=lambda: plan_job_limits(BUDGET, []))
    caveats: tuple[str, ...] = ()
    kind: str = "cgroup v1"
    cannot: str = ""
    cgroup: Path | None = None
    members: list[int] = field(default_factory=lambda: [JOB])
    refuses: OSError | None = None

    def _done(self, what: str) -> None:
        self.log.append(what)
        self.on.get(what, lambda: None)()

    def add(self, pid: int) -> None:
        self.members.append(pid)

    def forget(self, pid: int) -> None:
        if pid in self.members:
            self.members.remove(pid)

    def wake_on(self) -> list[tuple[int, int]]:
        return []

    def is_at_the_limit(self) -> bool:
        return False

    def read_memory(self, *, exact: bool = False) -> MemoryReading:
        held = self.held.pop(0) if len(self.held) > 1 else self.held[0]
        return MemoryReading(unreclaimable=held, shmem=0, cache=0, exact=exact)

    def peak_with_cache(self) -> int | None:
        return None

    def take_mark(self) -> int | None:
        return None

    def oom_kills(self, *, ended_by_sigkill: bool) -> int:
        return 0

    def met_its_limit(self) -> bool:
        return False

    def swap_left(self) -> int:
        return self.swap

    def pids(self) -> list[int]:
        return list(self.members)

    def freeze(self) -> bool:
        self._done("freeze")
        return self.stands_still

    def thaw(self) -> None:
        self._done("thaw")

    def plan_budget(self, budget: int) -> JobLimits:
        return plan_job_limits(budget, [])

    def set_budget(self, limits: JobLimits, *, swap_max: int | None) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.limits = limits
        self._done(f"budget {limits.budget // MIB} swap {swap_max}")

    def give_grace(self) -> None:
        self._done("grace")

    def leave_to_the_kernel(self) -> None:
        self._done("left to the kernel")

    def signal(self, number: int, only: Callable[[int], bool] = lambda _: True) -> None:
        self._done(f"signal {number}")

    def kill(self) -> None:
        self._done("kill")
        self.members.clear()

    def take_over(self) -> None:
        self._done("take over")

    def close(self) -> None:
        self._done("close")


class FakeReaper:
    """Tells of the command what a test makes happen."""

    def __init__(self) -> None:
        self.pid, self.job_pid = 1 << 22, JOB  # no process has these
        self.status_fd, self._tell = os.pipe()
        self._events: list[JobEvent] = []
        self.buried = False

    def happens(self, kind: str, status: int = 0) -> None:
        self._events.append(JobEvent(kind, status))
        os.write(self._tell, b".")

    def events(self) -> list[JobEvent]:
        os.read(self.status_fd, 64)
        told, self._events = self._events, []
        return told

    def keep_going(self) -> None:
        """Nobody stops it."""

    def bury(self) -> None:
        self.buried = True

    def close(self) -> None:
        os.close(self.status_fd)
        os.close(self._tell)


class FakeSignals:
    """Signals that a test sends to the supervisor."""

    def __init__(self) -> None:
        self.fd, self._send = os.pipe()
        self._arrived: list[Any] = []

    def send(self, number: int, *, from_kernel: bool = False) -> None:
        self._arrived.append(SimpleNamespace(number=number, from_kernel=from_kernel))
        os.write(self._send, b".")

    def read(self) -> list[Any]:
        os.read(self.fd, 64)
        arrived, self._arrived = self._arrived, []
        return arrived

    def close(self) -> None:
        os.close(self.fd)
        os.close(self._send)


class FakeProc:
    """A /proc with made-up processes below `root`; each may be stopped, killed, and grow."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sent: list[tuple[int, int]] = []
        self._parents: dict[int, int] = {}
        (root / "proc/self").mkdir(parents=True)
        (root / "proc/meminfo").write_text("MemTotal: 16000000 kB\nShmem: 0 kB\n")
        (root / "proc/self/mountinfo").write_text("")

    def put(self, pid: int, parent: int, *, anon: int = 0, pss: int | None = None, state: str = "S") -> None:
        """A process that holds `anon` MiB, of which `pss` are its share."""
        self._parents[pid] = parent
        folder = self.root / f"proc/{pid}"
        (folder / f"task/{pid}").mkdir(parents=True, exist_ok=True)
        numbers = " ".join(["0"] * 50)
        (folder / "stat").write_text(f"{pid} (job) {state} {parent} {numbers}\n")
        (folder / "status").write_text(
            f"Name:\tjob\nVmRSS:\t{anon << 10} kB\nRssAnon:\t{anon << 10} kB\nRssShmem:\t0 kB\n"
        )
        share = anon if pss is None else pss
        (folder / "smaps_rollup").write_text(
            f"0-1 ---p 0 00:00 0 [rollup]\nRss: {anon << 10} kB\nPss: {share << 10} kB\nPss_Anon: {share << 10} kB\n"
            f"Pss_Shmem: 0 kB\nAnonymous: {anon << 10} kB\nSwapPss: 0 kB\n"
        )
        self._write_children()

    def end(self, pid: int) -> None:
        """It is gone."""
        for file in sorted((self.root / f"proc/{pid}").rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        (self.root / f"proc/{pid}").rmdir()
        del self._parents[pid]
        self._write_children()

    def state(self, pid: int, state: str) -> None:
        """It has come to another state."""
        stat = self.root / f"proc/{pid}/stat"
        before, _, after = stat.read_text().partition(") ")
        stat.write_text(f"{before}) {state}{after[1:]}")

    def _write_children(self) -> None:
        for pid in self._parents:
            children = " ".join(str(child) for child, parent in self._parents.items() if parent == pid)
            (self.root / f"proc/{pid}/task/{pid}/children").write_text(children)
