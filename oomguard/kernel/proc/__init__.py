"""What /proc tells of processes: their tree, their memory, their open files."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from oomguard.formats.proc import ProcStat, parse_proc_stat, parse_status_memory


class ProcFiles:
    """The files of /proc below one root. Raises: nothing; what cannot be read is "" or no names."""

    def __init__(self, root: Path = Path("/")) -> None:
        """Read the /proc of `root`."""
        self._proc = str(root / "proc")

    def read(self, path: str, size: int = 1 << 16) -> str:
        """At most `size` bytes of a file below /proc, such as "17/status"; bytes that are no UTF-8 are kept."""
        try:
            fd = os.open(f"{self._proc}/{path}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return ""
        try:
            got = b""
            while len(got) < size and (piece := os.read(fd, size - len(got))):
                got += piece
            return got.decode(errors="surrogateescape")
        except OSError:
            return ""
        finally:
            os.close(fd)

    def refusal(self) -> OSError | None:
        """Why nothing can be read now, such as that there are no descriptors; then all reads as empty.

        Or that a number means another process there than here, as in a PID namespace without a /proc of its own.
        """
        try:
            os.close(os.open(f"{self._proc}/self/stat", os.O_RDONLY | os.O_CLOEXEC))
            if os.readlink(f"{self._proc}/self") == str(os.getpid()):  # noqa: PTH115 - as below
                return None
            raise FileNotFoundError(
                errno.ENOENT, "the processes here are another PID namespace's", f"{self._proc}/self"
            )
        except OSError as error:
            return error

    def names(self, path: str) -> list[str]:
        """The names in a directory below /proc."""
        try:
            return os.listdir(f"{self._proc}/{path}")  # noqa: PTH208 - names, not paths: this is called often
        except OSError:
            return []

    def link(self, path: str) -> str:
        """Where a link below /proc points, such as "17/exe"."""
        try:
            return os.readlink(f"{self._proc}/{path}")  # noqa: PTH115 - as above
        except OSError:
            return ""

    def path(self, path: str) -> str:
        """The whole path of a file below /proc, for os.stat()."""
        return f"{self._proc}/{path}"

    def stat(self, pid: int) -> ProcStat | None:
        """Who `pid` is. None: it is gone."""
        return parse_proc_stat(self.read(f"{pid}/stat"))

    def unreclaimable_bound(self, pid: int) -> int | None:
        """What `pid` holds at most, pages that others share with it counted whole. Units: bytes. None: not known."""
        return parse_status_memory(self.read(f"{pid}/status")).unreclaimable_bound

    def command(self, pid: int) -> tuple[str, ...]:
        """The arguments `pid` was started with, as it shows them now. Empty for a kernel thread or a zombie."""
        return tuple(self.read(f"{pid}/cmdline", 4096).rstrip("\0").split("\0")) if self.exists(pid) else ()

    def exists(self, pid: int) -> bool:
        """Whether there is a process `pid`, a zombie too."""
        return os.path.isdir(f"{self._proc}/{pid}")  # noqa: PTH112 - as above


class ProcessTree:
    """The descendants of a process, read anew at each question.

    A process whose parent has ended has left the tree, unless a subreaper in the tree took it over
    (`oomguard.kernel.prctl.become_subreaper`).
    """

    def __init__(
        self, root_pid: int, *, with_root: bool = True, without: frozenset[int] = frozenset(), root: Path = Path("/")
    ) -> None:
        """Look at the tree under `root_pid`, that process itself if `with_root`, but at none of `without` and below."""
        self._root_pid = root_pid
        self._with_root = with_root
        self._without = without
        self._proc = ProcFiles(root)
        # Kernels without CONFIG_PROC_CHILDREN lack these files; then every process's parent is read instead.
        self._has_children_files = (root / f"proc/{root_pid}/task/{root_pid}/children").exists()

    def pids(self) -> list[int]:
        """The pids, parents first. One that starts or ends meanwhile may be in it or not."""
        children_of = None if self._has_children_files else self._children_of_all()
        pids = {self._root_pid: None}  # a dict, as an ordered set: a reused pid must not make a ring
        to_ask = [self._root_pid]
        while to_ask:
            pid = to_ask.pop()
            children = self._children(pid) if children_of is None else children_of.get(pid, [])
            children = [child for child in children if child not in pids and child not in self._without]
            to_ask += children
            pids |= dict.fromkeys(children)
        return list(pids) if self._with_root else list(pids)[1:]

    def _children(self, pid: int) -> list[int]:
        """The children of all threads of `pid`."""
        children: list[int] = []
        for thread in self._proc.names(f"{pid}/task"):
            children += [int(child) for child in self._proc.read(f"{pid}/task/{thread}/children").split()]
        return children

    def _children_of_all(self) -> dict[int, list[int]]:
        children_of: dict[int, list[int]] = {}
        for name in self._proc.names("."):
            if name.isdecimal() and (stat := self._proc.stat(int(name))):
                children_of.setdefault(stat.parent_pid, []).append(stat.pid)
        return children_of
