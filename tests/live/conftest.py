"""What the tests share that really limit processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import oomguard
from tests import running
from tests.live.run_cases import HOME, leftovers
from tests.live.swap_areas import RECORDS, listing

if TYPE_CHECKING:
    from collections.abc import Iterator

_REMOVE_SECONDS = 10.0
_TRY = """
from oomguard.supervision.own_budget import MemcgUnavailable, enter_cgroup
try:
    with enter_cgroup(64 << 20):
        pass
except MemcgUnavailable as error:
    print(error)
"""


@pytest.fixture(scope="session", autouse=True)
def needs_a_cgroup() -> None:
    """Skip where no memory cgroup can be made, and say how one could."""
    environment = {**os.environ, "PYTHONPATH": str(Path(oomguard.__file__).parents[1])}
    tried = subprocess.run([sys.executable, "-c", _TRY], capture_output=True, text=True, check=True, env=environment)
    if why := tried.stdout.strip():
        pytest.skip(
            f"{why}; to turn it on: run as root where cgroupfs is writable, "
            "or with systemd-run --user --scope -p Delegate=yes python -m pytest tests/live"
        )


@pytest.fixture(scope="session", autouse=True)
def own_cgroup(needs_a_cgroup: None) -> Iterator[None]:
    """On v1, a cgroup for this session, so that what another oomguard leaves on this machine is no concern of ours.

    On v2 a cgroup with processes can have no limited ones below it, so all are searched, as they are in the VM.
    """
    own = next(
        (path for line in Path("/proc/self/cgroup").read_text().splitlines() if (path := _memory_v1(line))), None
    )
    if own is None:
        yield
        return
    session = own / f"pytest-{os.getpid()}"
    session.mkdir()
    (session / "cgroup.procs").write_text("0")
    HOME[:] = [session]
    yield
    (own / "cgroup.procs").write_text("0")
    _remove_when_empty(session)


def _remove_when_empty(cgroup: Path) -> None:
    """Remove it and what is below. What ends at this moment may end; what is still there after that is named."""
    until = time.monotonic() + _REMOVE_SECONDS
    below = [*sorted((each for each in cgroup.rglob("*") if each.is_dir()), reverse=True), cgroup]
    while True:
        for folder in below:
            with suppress(OSError):  # busy, or gone already
                folder.rmdir()
        if not cgroup.exists():
            return
        if time.monotonic() > until:
            break
        time.sleep(0.05)
    left = {int(pid): folder for folder in below if folder.exists() for pid in _read(folder / "cgroup.procs").split()}
    names = [f"{pid} {_read(Path(f'/proc/{pid}/comm')).strip()!r} in {folder.name}" for pid, folder in left.items()]
    warnings.warn(f"{cgroup} could not be removed; in it: {', '.join(names) or 'no process'}", stacklevel=2)


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


def _memory_v1(line: str) -> Path | None:
    """The folder of a line of /proc/self/cgroup, if it is that of v1's memory controller and is seen here."""
    _, controllers, path = line.split(":", 2)
    folder = Path(f"/sys/fs/cgroup/memory{path}")
    return folder if "memory" in controllers.split(",") and folder.is_dir() else None


@pytest.fixture(autouse=True)
def real_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command is a process that was started as people start it, in the cgroup of this session."""
    monkeypatch.setitem(running.START, "how", "cold")


@pytest.fixture
def nothing_is_left() -> Iterator[None]:
    """No cgroup and no process of a test outlives it; what another has left before is not its own."""
    before = leftovers()
    yield
    deadline = time.monotonic() + 20
    while (left := [each for each in leftovers() if each not in before]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


@pytest.fixture
def machine_is_as_before() -> Iterator[None]:
    """Whatever a test does: the areas that are on, fstab and the records are the same afterwards."""
    if os.geteuid() != 0:
        pytest.skip("switching swap on needs root")
    seen = [Path("/proc/swaps").read_text(), Path("/etc/fstab").read_text() if Path("/etc/fstab").exists() else ""]
    records = listing(RECORDS) if RECORDS.exists() else []
    yield
    assert [Path("/proc/swaps").read_text(), *seen[1:]] == seen
    assert (listing(RECORDS) if RECORDS.exists() else []) == records
