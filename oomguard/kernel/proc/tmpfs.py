"""Files in memory: what a job holds in tmpfs and /dev/shm without mapping it, which no process's account shows."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

from oomguard.formats.mountinfo import parse_mountinfo
from oomguard.kernel.proc.files import ProcFiles

_LOOK_AGAIN = 1 << 20  # bytes more in /dev/shm before the descriptors are looked through again


class _File(NamedTuple):
    path: str
    device: int
    inode: int


class TmpfsFiles:
    """The files on memory file systems that the job was seen to have open, by their names.

    A file is known when a process of the job has it open at a moment when /dev/shm, or another tmpfs, has grown;
    it counts for as long as its name is there, or it is open.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        """Nothing is known yet."""
        self._proc = ProcFiles(root)
        self._mounts = _tmpfs_mounts(self._proc.read("self/mountinfo", 1 << 20))
        self._known: dict[_File, int] = {}
        self._used_before = self._used()

    def size(self, pids: list[int]) -> int:
        """Bytes in the files that the job was seen to have open. Raises: nothing."""
        used = self._used()
        if used > self._used_before + _LOOK_AGAIN or used < self._used_before:
            self._used_before = used
            self._look(pids)
        if not self._known:
            return 0
        self._refresh()
        return sum(self._known.values())

    def named(self) -> list[tuple[str, int]]:
        """The files known, largest first, with their sizes in memory."""
        return sorted(((file.path, size) for file, size in self._known.items()), key=lambda each: -each[1])

    def look(self, pids: list[int]) -> None:
        """Look through the descriptors now."""
        self._look(pids)
        self._refresh()

    def _look(self, pids: list[int]) -> None:
        for pid in pids:
            for number in self._proc.names(f"{pid}/fd")[:1000]:
                try:
                    found = os.stat(self._proc.path(f"{pid}/fd/{number}"))  # noqa: PTH116 - through the link
                except OSError:
                    continue
                if stat.S_ISREG(found.st_mode) and found.st_dev in self._mounts:
                    path = self._proc.link(f"{pid}/fd/{number}")
                    self._known[_File(path, found.st_dev, found.st_ino)] = found.st_blocks * 512

    def _refresh(self) -> None:
        for file in list(self._known):
            try:
                found = os.stat(file.path)  # noqa: PTH116 - called often
            except OSError:
                del self._known[file]
                continue
            if (found.st_dev, found.st_ino) != (file.device, file.inode):
                del self._known[file]
            else:
                self._known[file] = found.st_blocks * 512

    def _used(self) -> int:
        used = 0
        for mount in self._mounts.values():
            try:
                state = os.statvfs(mount)
            except OSError:
                continue
            used += (state.f_blocks - state.f_bfree) * state.f_frsize
        return used


def _tmpfs_mounts(mountinfo: str) -> dict[int, str]:
    """Device number -> where it is mounted, of the memory file systems that files may be put in."""
    return {
        os.makedev(mount.major, mount.minor): mount.mount_point
        for mount in parse_mountinfo(mountinfo)
        if mount.file_system in ("tmpfs", "ramfs") and not mount.mount_point.startswith(("/sys/", "/proc/"))
    }
