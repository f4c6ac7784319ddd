"""What the tests share that really limit processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import oomguard

_TRY = """
from oomguard.linux.budget_memcg import MemcgUnavailable, enter_budget_memcg
try:
    with enter_budget_memcg(64 << 20):
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
