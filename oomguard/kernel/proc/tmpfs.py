"""Files in memory: what a job holds in tmpfs, /dev/shm and memfds without mapping it, which no account shows."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from oomguard.formats.meminfo import parse_meminfo
from oomguard.formats.mountinfo import parse_mountinfo
from oomguard.kernel.proc.files import ProcFiles

_LOOK_AGAIN = 1 << 20  # bytes more of the machine's shared memory before the descriptors are looked through again
_MOST_DESCRIPTORS = 1000  # of one process
_MEMFD = "/memfd:"


@dataclass(slots=True)
class _File:
    path: str
    descriptor: str  # one that has it open, below /proc
    size: int  # bytes in memory


class TmpfsFiles:
    """The files in memory that the job was seen to have open.

    A file is known when a process of the job has it open at a moment when the machine's shared memory has grown; it
    counts for as long as its name is there, or it is open. A file that was opened, written and closed between two such
    moments is not seen.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        """Nothing is known yet."""
        self._proc = ProcFiles(root)
        self._devices = _tmpfs_devices(self._proc.read("self/mountinfo", 1 << 20))
        self._known: dict[tuple[int, int], _File] = {}  # by device and inode
        self._shared_before = self._shared_memory()

    def size(self, pids: list[int]) -> int:
        """Bytes in the files that the job was seen to have open. Raises: nothing."""
        shared = self._shared_memory()
        if shared > self._shared_before + _LOOK_AGAIN or shared < self._shared_before:
            self._shared_before = shared
            self._find(pids)
        elif self._known and not self._refresh():
            self._find(pids)  # a descriptor was closed: another may have the file open
        return sum(file.size for file in self._known.values())

    def named(self) -> list[tuple[str, int]]:
        """The files known, largest first, with their sizes in memory."""
        return sorted(((file.path, file.size) for file in self._known.values()), key=lambda each: -each[1])

    def look(self, pids: list[int]) -> None:
        """Look through the descriptors now."""
        self._find(pids)

    def _find(self, pids: list[int]) -> None:
        """Look through the descriptors, and see which of the files known before have a name that is still theirs."""
        before, self._known = self._known, {}
        for pid in pids:
            for number in self._proc.names(f"{pid}/fd")[:_MOST_DESCRIPTORS]:
                self._take(f"{pid}/fd/{number}")
        for identity, file in before.items():
            if identity not in self._known and (size := _size_of(file.path, identity)) is not None:
                file.size = size
                self._known[identity] = file

    def _take(self, descriptor: str) -> None:
        try:
            found = os.stat(self._proc.path(descriptor))  # noqa: PTH116 - through the link
        except OSError:
            return
        if not stat.S_ISREG(found.st_mode):
            return
        path = self._proc.link(descriptor)
        if found.st_dev in self._devices or path.startswith(_MEMFD):
            self._known[found.st_dev, found.st_ino] = _File(path, descriptor, found.st_blocks * 512)

    def _refresh(self) -> bool:
        """Measure the known ones again; says whether each was found."""
        all_there = True
        for identity, file in self._known.items():
            size = _size_of(file.path, identity)
            if size is None:
                size = _size_of(self._proc.path(file.descriptor), identity)  # unlinked, or a memfd
            all_there = all_there and size is not None
            file.size = size or 0
        return all_there

    def _shared_memory(self) -> int:
        return parse_meminfo(self._proc.read("meminfo")).shmem or 0


def _size_of(path: str, identity: tuple[int, int]) -> int | None:
    """Bytes in memory of the file there, if it is that one."""
    try:
        found = os.stat(path)  # noqa: PTH116 - called often
    except OSError:
        return None
    return found.st_blocks * 512 if (found.st_dev, found.st_ino) == identity else None


def _tmpfs_devices(mountinfo: str) -> frozenset[int]:
    """Device numbers of the memory file systems that files may be put in."""
    return frozenset(
        os.makedev(mount.major, mount.minor)
        for mount in parse_mountinfo(mountinfo)
        if mount.file_system in ("tmpfs", "ramfs") and not mount.mount_point.startswith(("/sys/", "/proc/"))
    )
