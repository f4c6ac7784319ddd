"""A job as an array of a real Slurm: an element is ended, the rest goes on, and the shards are those of one machine."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from oomguard.diagnosis.api import diagnose
from tests.cluster.conftest import inputs, shards

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("slurm")]


def submit(corpus: Path, slurm: dict[str, str], out: Path, *more: str) -> list[str]:
    done = subprocess.run(
        [
            sys.executable, "-m", "oomguard", "prepare", *inputs(corpus), "--out", str(out), "--format", "npy",
            "--shard-tokens", "200000", "--unit-size", "200K", "--cluster", "slurm", "--tasks", "4", "--max-rss", "200M",
            *more,
        ],
        env=slurm, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    numbers = re.findall(r"Slurm job ([0-9]+)", done.stdout)
    assert len(numbers) == 3, done.stdout  # units, shards, what notes them
    return numbers


def wait_for(slurm: dict[str, str], *jobs: str) -> None:
    until = time.monotonic() + 240
    while time.monotonic() < until:
        done = subprocess.run(
            ["squeue", "-h", "-j", ",".join(jobs)], env=slurm, capture_output=True, text=True, check=False
        )
        if not done.stdout.strip():
            return
        time.sleep(0.3)
    raise TimeoutError(jobs)


def logs(out: Path) -> str:
    return "\n".join(path.read_text() for path in (out / ".oomguard/parts").glob("slurm-*.log"))


@pytest.mark.slow
def test_an_array_makes_what_one_machine_makes(corpus: Path, slurm: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    wait_for(slurm, *submit(corpus, slurm, out))
    assert shards(out) == shards(corpus / "alone"), logs(out)


def test_an_element_that_is_cancelled_costs_nothing(corpus: Path, slurm: dict[str, str], tmp_path: Path) -> None:
    """Two of four elements are cancelled: the others help with their units, and the next array does what is left."""
    out = tmp_path / "out"
    array, *after = submit(corpus, slurm, out, "--slurm-args", "--hold")
    subprocess.run(["scancel", f"{array}_0", f"{array}_1"], env=slurm, check=True)
    subprocess.run(["scancel", *after], env=slurm, check=True)
    subprocess.run(["scontrol", "release", array], env=slurm, check=True, capture_output=True)
    wait_for(slurm, array)
    before = {path.name for path in (out / ".oomguard/parts").glob("*.part")}
    assert before, logs(out)
    wait_for(slurm, *submit(corpus, slurm, out))
    assert shards(out) == shards(corpus / "alone"), logs(out)


@pytest.mark.slow
def test_slurm_ends_an_element_for_its_memory(corpus: Path, slurm: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    # --mem of sbatch's last word counts: less than the job takes, whatever its own budget.
    wait_for(slurm, *submit(corpus, slurm, out, "--slurm-args", "--mem=20M"))
    assert not shards(out)
    assert re.search("memory limit|oom-kill|OUT_OF_MEMORY", logs(out), re.IGNORECASE), logs(out)
    # What people then do: give the job's log to `oomguard diagnose`.
    told = diagnose(sorted((out / ".oomguard/parts").glob("slurm-*.log")))
    assert (told.verdict, told.killer) == ("proved", "slurm"), logs(out)
    assert told.others[0].facts["job"].partition("_")[0].isdigit(), told.others[0]
    assert any((step.command or "").startswith("sbatch --mem=") for step in told.advice), told.advice
    wait_for(slurm, *submit(corpus, slurm, out))
    assert shards(out) == shards(corpus / "alone"), logs(out)
