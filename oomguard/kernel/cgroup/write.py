"""Change cgroups: make, remove, write a setting. Everything that changes one goes through here.

Raises: OSError as the kernel answers it. Whether something is allowed is found out by trying it: access(2)
knows neither delegation, nor the no-internal-processes rule, nor all of what a container forbids.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from oomguard.kernel.cgroup.directory import read_kernel_text

_BUDGET_NAME = re.compile(r"oomguard-([0-9]{1,10})(?:-[0-9]{1,3})?")
_REMOVAL_PATIENCE_SECONDS = 1.0


def write_setting(cgroup: Path, file: str, value: str | int) -> None:
    """Write one value into one of the cgroup's files; never makes a file."""
    fd = os.open(cgroup / file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, str(value).encode())  # one write: the kernel takes each as a whole value
    finally:
        os.close(fd)


def move_self(cgroup: Path) -> None:
    """Move the calling process, all its threads, into the cgroup. Its memory stays charged where it was."""
    write_setting(cgroup, "cgroup.procs", 0)  # 0 = the writer, right in every pid namespace


def make_cgroup(path: Path) -> None:
    """Make a cgroup; the kernel fills the directory with its files."""
    path.mkdir()


def remove_cgroup(path: Path) -> None:
    """Remove an empty cgroup; its files go with it."""
    path.rmdir()


def remove_when_empty(path: Path) -> bool:
    """Remove a cgroup whose last processes are just ending, or give up after a second. Says if it is gone."""
    deadline = time.monotonic() + _REMOVAL_PATIENCE_SECONDS
    pause_seconds = 0.002
    while True:
        try:
            remove_cgroup(path)
        except FileNotFoundError:
            return True
        except OSError:
            if time.monotonic() > deadline:
                return False
            time.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, 0.1)
        else:
            return True


def unused_budget_path(parent: Path) -> Path:
    """Name a cgroup for the calling process in `parent`: oomguard-PID, with a number if that is taken."""
    name = f"oomguard-{os.getpid()}"
    names = [name, *(f"{name}-{number}" for number in range(2, 100))]
    return next(parent / name for name in names if not (parent / name).exists())


def remove_stale_budgets(parent: Path, root: Path = Path("/")) -> None:
    """Remove what killed runs left in `parent`: cgroups oomguard-PID with no process in them and PID dead.

    Never fails: one that cannot be removed is left for the next run.
    """
    try:
        found = [path for path in parent.iterdir() if _BUDGET_NAME.fullmatch(path.name)]
    except OSError:
        return
    for path in found:
        remove_stale_budgets(path, root)  # a run within a run
        pid = path.name.split("-")[1]
        if (root / "proc" / pid).exists() or read_kernel_text(path / "cgroup.procs") != "":
            continue
        try:
            remove_cgroup(path)
        except OSError:
            continue  # not empty after all, or not ours
