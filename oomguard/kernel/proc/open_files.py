"""Which files processes read, and how far they are. Source: proc_pid_fd(5), proc_pid_fdinfo(5)."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.kernel.model import OpenInput
from oomguard.kernel.proc.files import ProcFiles

if TYPE_CHECKING:
    from collections.abc import Iterable

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
