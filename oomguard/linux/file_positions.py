"""How far another process has read in a file."""

from __future__ import annotations

import os
import re
from pathlib import Path

_POSITION = re.compile(r"^pos:\s+([0-9]{1,19})$", re.MULTILINE)


def file_position(pid: int, path: str, *, root: Path = Path("/")) -> int | None:
    """Give the furthest offset, in bytes, at which process `pid` has `path` open; None if it cannot be seen.

    Source: proc_pid_fdinfo(5). A file that is mapped, or read with pread, keeps its offset and says 0.
    """
    folder = root / f"proc/{pid}"
    wanted = os.path.realpath(path)
    furthest: int | None = None
    try:
        for link in (folder / "fd").iterdir():
            if str(link.readlink()) != wanted:
                continue
            found = _POSITION.search((folder / "fdinfo" / link.name).read_text(encoding="ascii", errors="replace"))
            if found:
                furthest = max(furthest or 0, int(found[1]))
    except OSError:
        return furthest  # the process, or a file of it, went away
    return furthest
