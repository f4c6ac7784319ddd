"""Read /proc often and cheaply: a process that is gone, or may not be read, reads as empty."""

from __future__ import annotations

import os
from pathlib import Path

from oomguard.formats.proc.stat import ProcStat, parse_proc_stat


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

    def command(self, pid: int) -> tuple[str, ...]:
        """The arguments `pid` was started with, as it shows them now. Empty for a kernel thread or a zombie."""
        return tuple(self.read(f"{pid}/cmdline", 4096).rstrip("\0").split("\0")) if self.exists(pid) else ()

    def exists(self, pid: int) -> bool:
        """Whether there is a process `pid`, a zombie too."""
        return os.path.isdir(f"{self._proc}/{pid}")  # noqa: PTH112 - as above
