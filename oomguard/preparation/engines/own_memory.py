"""A process's view of its own memory, cheap enough to take after each piece."""

from __future__ import annotations

import mmap
import os


class OwnMemory:
    """Reads /proc/self/statm (proc_pid_statm(5)), 5 microseconds a time."""

    def __init__(self) -> None:
        self._fd = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)

    def rss(self) -> int:
        """Bytes of resident memory, shared pages included."""
        return int(os.pread(self._fd, 256, 0).split()[1]) * mmap.PAGESIZE

    def anonymous(self) -> int:
        """Bytes of resident memory that no file or shared mapping backs."""
        fields = os.pread(self._fd, 256, 0).split()
        return (int(fields[1]) - int(fields[2])) * mmap.PAGESIZE
