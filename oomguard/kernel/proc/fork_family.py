"""What forked children only share with the process they came from: its pages, until one of them writes to them.

A page that n processes map is in each one's proportional share with 1/n of it (Pss). What a process maps, less its
own share, is therefore what others have in their shares of pages that it maps too. Measured before and after, the
difference is what came into the shares of new children; it holds for a parent of any size.
Source: Linux fs/proc/task_mmu.c, smaps_account(); Documentation/filesystems/proc.rst.
"""

from __future__ import annotations

from pathlib import Path

from oomguard.formats.proc.smaps_rollup import parse_smaps_rollup, parse_status_memory
from oomguard.kernel.proc.files import ProcFiles
from oomguard.kernel.proc.tree import ProcessTree

_MOST_MEMBERS = 64


class ForkFamily:
    """A process, and all that share pages with it by a fork, as it is before the children that are to be counted.

    Where a member ends meanwhile, or new relatives come outside, the answer is too low, never too high.
    """

    def __init__(self, pid: int, root: Path = Path("/")) -> None:
        """Look at the family of `pid` as it is now."""
        self._proc = ProcFiles(root)
        self._shared_before = {each: self._shared(each) or 0 for each in self._members(pid, root)}

    @property
    def pids(self) -> list[int]:
        """Its members."""
        return list(self._shared_before)

    def shared_since(self) -> int:
        """What processes that came later have in their shares of pages that a member maps too. Units: bytes."""
        changes = [
            now - before for pid, before in self._shared_before.items() if (now := self._shared(pid)) is not None
        ]
        return max(0, sum(changes))

    def _shared(self, pid: int) -> int | None:
        """What it maps, less its share of that. None: it is gone, or may not be read."""
        rollup = parse_smaps_rollup(self._proc.read(f"{pid}/smaps_rollup"))
        status = parse_status_memory(self._proc.read(f"{pid}/status"))
        if rollup.anonymous is None or rollup.unreclaimable is None:
            return None
        return max(0, rollup.anonymous + (status.rss_shmem or 0) + (status.swap or 0) - rollup.unreclaimable)

    def _members(self, pid: int, root: Path) -> list[int]:
        """Those that run the same image, not only the same program: exec gives each its own auxiliary vector."""
        image, top = self._image(pid), pid
        if not image:
            return [pid]
        while (stat := self._proc.stat(top)) is not None and self._image(stat.parent_pid) == image:
            top = stat.parent_pid
        others = [each for each in ProcessTree(top, root=root).pids() if each != pid and self._image(each) == image]
        return [pid, *others[: _MOST_MEMBERS - 1]]

    def _image(self, pid: int) -> str:
        return self._proc.read(f"{pid}/auxv")
