"""A process and its descendants, from /proc."""

from __future__ import annotations

from pathlib import Path

from oomguard.kernel.proc.files import ProcFiles


class ProcessTree:
    """The descendants of a process, read anew at each question.

    A process whose parent has ended has left the tree, unless a subreaper in the tree took it over
    (`oomguard.kernel.process.prctl.become_subreaper`).
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
