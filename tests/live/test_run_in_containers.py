"""A guard that is itself under a limit, as in a small container: what is left is the job's, and who killed is told."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.live.containers import container
from tests.live.guarded import MIB, OOMGUARD

if TYPE_CHECKING:
    from pathlib import Path

    from tests.live.containers import Container

pytestmark = [pytest.mark.live, pytest.mark.pairs, pytest.mark.usefixtures("nothing_is_left")]

HOG = "held = []\nwhile True: held.append(bytearray(b'x') * (1 << 20))\n"
HOLDS = "held = [bytearray(b'x') * (1 << 20) for _ in range({})]\nprint('done')\n"


def run_inside(inside: Container, folder: Path, budget: int, program: str, *flags: str) -> tuple[Any, dict[str, Any]]:
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    command = [*OOMGUARD, "run", "--max-rss", str(budget), "--report", str(report), *flags, "--", sys.executable]
    done = inside.run([*command, "-c", program], folder)
    return done, json.loads(report.read_text()) if report.exists() else {}


@pytest.mark.parametrize("way", ["cgroup", "watchdog"])
@pytest.mark.parametrize(("limit", "budget"), [(272, 256), (128, 110), (90, 300), (90, 80), (300, 1024)])
def test_in_a_container_the_job_is_held_before_the_kernel_kills(
    tmp_path: Path, limit: int, budget: int, way: str
) -> None:
    """Beside its guard it gets most of what there is; what grows is stopped at the budget, never by the kernel."""
    with container(limit * MIB) as inside:
        done, facts = run_inside(inside, tmp_path, budget * MIB, HOG, "--enforce", way)
        assert (done.returncode, facts["stopped_by"], facts["oom_kills"]) == (137, "budget", 0), done.stderr
        assert inside.oom_kills() <= 1  # the reader of stacks alone may be: of the job, none was
        given = facts["budget"]
        assert min(budget, (limit - 45) * 0.65) * MIB <= given <= limit * MIB
        assert facts["held_unreclaimable"] >= given
        fits = given // MIB - 20
        done, facts = run_inside(inside, tmp_path, budget * MIB, HOLDS.format(fits), "--enforce", way)
        assert (done.returncode, done.stdout, facts["stopped_by"]) == (0, "done\n", None), done.stderr


# Each smaller than the job, which is the kernel's victim then.
NEIGHBOURS = """
import os, sys, time
for number in range(5):
    ours, theirs = os.pipe()
    if os.fork() == 0:
        held = bytearray(b"x") * (30 << 20)
        os.write(theirs, b"1")
        sys.stdin.read()  # until the test closes it
        os._exit(0)
    os.read(ours, 1)
print("hold", flush=True)
sys.stdin.read()
"""
SLOWLY = "import time\nheld = []\nwhile True:\n    held.append(bytearray(b'x') * (1 << 20))\n    time.sleep(0.002)\n"


@pytest.mark.parametrize("way", ["cgroup", "watchdog"])
def test_who_is_killed_for_a_limit_above_is_not_told_as_over_its_budget(tmp_path: Path, way: str) -> None:
    """Neighbours fill the container: the kernel kills there, and that is said, not "it held 60, 150 were allowed"."""
    neighbours = [sys.executable, "-c", NEIGHBOURS]
    with (
        container(260 * MIB) as inside,
        inside.popen(neighbours, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as beside,
    ):
        assert beside.stdout is not None
        assert beside.stdout.readline() == "hold\n"
        done, facts = run_inside(inside, tmp_path, 150 * MIB, SLOWLY, "--enforce", way)
        beside.communicate()
    assert (done.returncode, facts["stopped_by"], facts["oom_kills"]) == (137, "kernel", 1), done.stderr
    assert facts["victim"].startswith("python")
    assert facts["peak_unreclaimable"] < facts["budget"]
    assert "a limit above it" in " ".join(done.stderr.split())
    assert "budget of" not in done.stderr
