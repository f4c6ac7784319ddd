"""Files of processes: those they read, and how far they are; those in memory, which no account shows."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.formats.mounts import parse_mountinfo
from oomguard.formats.proc import parse_meminfo
from oomguard.kernel.model import OpenInput
from oomguard.kernel.proc import ProcFiles
from oomguard.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable


# Which files processes read, and how far they are. Source: proc_pid_fd(5), proc_pid_fdinfo(5).

_POSITION = re.compile(r"^pos:\s+([0-9]{1,19})$", re.MULTILINE)
_FLAGS = re.compile(r"^flags:\s+([0-7]{1,12})$", re.MULTILINE)
_NO_INPUT = re.compile(
    r"^/(dev|proc|sys)/|^/memfd:|\.so(\.[0-9]+)*$"
)  # memory, and what the loader of libraries has open
_MOST_DESCRIPTORS = 1000  # of one process: a server with 100,000 sockets must not stop the supervisor


def read_open_inputs(pids: Iterable[int], *, at_least: int = 1 << 20, root: Path = Path("/")) -> list[OpenInput]:
    """The regular files of `at_least` bytes that are open to read, the largest first; each path once a process.

    A file that is mapped, or read with pread(), keeps its position at 0. Of a file that a process has open
    more than once, the furthest position counts. Raises: nothing; what may not be seen is left out.
    """
    proc = ProcFiles(root)
    found: dict[tuple[int, str], OpenInput] = {}
    for pid in pids:
        for number in proc.names(f"{pid}/fd")[:_MOST_DESCRIPTORS]:
            opened = _read_descriptor(pid, number, at_least, proc)
            if opened is None:
                continue
            known = found.get((pid, opened.path))
            if known is None or known.position < opened.position:
                found[pid, opened.path] = opened
    return sorted(found.values(), key=lambda opened: opened.size, reverse=True)


def _read_descriptor(pid: int, number: str, at_least: int, proc: ProcFiles) -> OpenInput | None:
    path = proc.link(f"{pid}/fd/{number}")
    if not path.startswith("/") or _NO_INPUT.search(path):
        return None
    try:
        status = os.stat(proc.path(f"{pid}/fd/{number}"))  # noqa: PTH116 - the link leads also where names do not
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode) or status.st_size < at_least:
        return None
    info = proc.read(f"{pid}/fdinfo/{number}")
    position, flags = _POSITION.search(info), _FLAGS.search(info)
    if position is None or flags is None or int(flags[1], 8) & os.O_ACCMODE == os.O_WRONLY:
        return None
    return OpenInput(pid=pid, path=path, position=int(position[1]), size=status.st_size)


def file_position(pid: int, path: str, *, root: Path = Path("/")) -> int | None:
    """Give the furthest offset, in bytes, at which process `pid` has `path` open; None if it cannot be seen."""
    wanted = os.path.realpath(path)
    opened = read_open_inputs([pid], at_least=0, root=root)
    return next((each.position for each in opened if each.path == wanted), None)


# Files in memory: what a job holds in tmpfs, /dev/shm and memfds without mapping it, which no account shows.

_LOOK_AGAIN = 1 << 20  # bytes more of the machine's shared memory before the descriptors are looked through again
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
