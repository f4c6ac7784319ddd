"""A limited memory cgroup around a guard and its job together, as `docker run -m` makes one."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from oomguard.formats.cgroup import parse_count
from oomguard.kernel.cgroup.directory import find_own_cgroup
from tests.live.run_cases import environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class Container:
    """A cgroup with a limit; what is started in it is charged to it, and so is a guard."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def popen(self, command: Sequence[str], **how: Any) -> subprocess.Popen[str]:
        enter = ["sh", "-c", 'echo 0 > "$0/cgroup.procs" && exec "$@"', str(self.path)]
        return subprocess.Popen([*enter, *command], env=environment(), text=True, **how)

    def run(self, command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
        with self.popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
            out, err = running.communicate(timeout=120)
        return subprocess.CompletedProcess(command, running.returncode, out, err)

    def oom_kills(self) -> int:
        """Those of processes beside the job: on v1 each cgroup counts its own."""
        return parse_count((self.path / "memory.oom_control").read_text(), "oom_kill") or 0


@contextmanager
def container(limit: int) -> Iterator[Container]:
    own = find_own_cgroup()
    if own is None or own.version == 2:
        pytest.skip("on v2 a cgroup with processes has no limited cgroups below: it needs a container of its own")
    path = own.path / f"oomguard-{os.getpid()}"
    path.mkdir()
    try:
        (path / "memory.limit_in_bytes").write_text(str(limit))
        yield Container(path)
    finally:
        until = time.monotonic() + 10
        while path.exists() and time.monotonic() < until:
            try:
                path.rmdir()
            except OSError:
                time.sleep(0.05)
