"""What a round leaves behind: processes that bear its mark, and cgroups below one of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "OOMGUARD_FAULTS_ROUND"
_ENDED_SECONDS = 20.0  # until all that a run started has ended


def processes_left(mark: str) -> list[str]:
    """Those that have the round's mark in their environment, after a moment to end."""
    wanted = f"{MARK}={mark}".encode()
    until = time.monotonic() + _ENDED_SECONDS
    while True:
        found: list[str] = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    state = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
                    if state not in "ZX":
                        found.append(f"{entry.name} {state} {(entry / 'comm').read_text().strip()}")
            except OSError:
                continue
        if not found or time.monotonic() > until:
            break
        time.sleep(0.1)
    for left in found:
        os.kill(int(left.split()[0]), signal.SIGKILL)
    return found


@contextlib.contextmanager
def own_cgroups(mark: str) -> Iterator[list[Path]]:
    """Cgroups of the round's own, so that those of others' runs are not taken for what it left.

    v1, or a v2 cgroup without processes above: elsewhere there is none, and nothing is said of what is left.
    """
    made = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if {"memory", "freezer"} & set(controllers.split(",")):
            folder = Path(f"/sys/fs/cgroup/{controllers}{path}") / f"faults-{mark}"
            with contextlib.suppress(OSError):
                folder.mkdir()
                made.append(folder)
    try:
        yield made
    finally:
        for folder in made:
            for inner in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
                with contextlib.suppress(OSError):  # it was named as left
                    inner.rmdir()
            with contextlib.suppress(OSError):
                folder.rmdir()


def within(cgroups: list[Path], command: list[str]) -> list[str]:
    """The command, started in these cgroups."""
    moves = "".join(f"echo $$ >{folder}/cgroup.procs; " for folder in cgroups)
    return ["/bin/sh", "-c", f'{moves}exec "$@"', "sh", *command]


def cgroups_left(own: list[Path]) -> list[str]:
    """Those that are still there after a while: a kernel takes some time to end a process."""
    until = time.monotonic() + _ENDED_SECONDS
    while True:
        left = [str(path) for folder in own for path in folder.rglob("oomguard-*")]
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.1)
