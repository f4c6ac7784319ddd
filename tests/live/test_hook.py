"""A shell in a memory cgroup of its own, and a command that the kernel kills there: the hook says that it was ours."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from oomguard.kernel.cgroup.directory import find_own_memcg
from tests.diagnosis.hook.shells import SHELLS, home_of, terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from oomguard.diagnosis.hook import Shell

pytestmark = [pytest.mark.live, pytest.mark.pairs]

GROW = "[bytes([1]) * (1 << 20) for _ in range(300)]"


@contextmanager
def memcg(name: str, limit: int) -> Iterator[Path]:
    """A memory cgroup beside ours, version 1 or 2; skips where none can be made."""
    own = find_own_memcg()
    if own is None:
        pytest.skip("this process is in no memory cgroup that can be seen; run it where /sys/fs/cgroup is mounted")
    folder = own.path / f"oomguard-test-{name}-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / ("memory.max" if own.version == 2 else "memory.limit_in_bytes")).write_text(str(limit))
    except OSError as error:
        if folder.exists():
            folder.rmdir()
        pytest.skip(f"no memory cgroup can be made here ({error.strerror}); run it as root where cgroupfs is writable")
    try:
        yield folder
    finally:
        deadline = time.monotonic() + 10
        while folder.exists():
            try:
                folder.rmdir()
            except OSError:
                assert time.monotonic() < deadline, "the cgroup is not empty"
                time.sleep(0.05)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_real_kill_is_told_as_ones_own_or_as_anothers(shell: Shell, tmp_path: Path) -> None:
    with memcg("shell", 96 << 20) as own, memcg("beside", 48 << 20) as beside:

        def enter() -> None:
            (own / "cgroup.procs").write_text(str(os.getpid()))

        with terminal(shell, home_of(tmp_path, shell), in_child=enter) as shown:
            said = shown.enter(f"{sys.executable} -c '{GROW}'")
            assert "of this shell's cgroup during" in " ".join(said.split())
            (tmp_path / "beside.sh").write_text(f"echo $$ >{beside}/cgroup.procs; exec {sys.executable} -c '{GROW}'")
            said = shown.enter(f"sh {tmp_path}/beside.sh")
            assert "somewhere on this machine during" in " ".join(said.split())
