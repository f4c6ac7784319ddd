"""The commands of docs/kubernetes.md in plain processes: pods of an indexed Job, one of which is killed and begun again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cluster.conftest import inputs, shards

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
PODS = 3
PAGE = Path(__file__).parents[2] / "docs/kubernetes.md"


def commands(job: Path) -> list[str]:
    """What the pods run, as the page has it, but for the paths and the number of pods."""
    found = re.findall(r'command: \["sh", "-c", "(.*)"\]', PAGE.read_text())
    assert len(found) == 2
    us = f"{sys.executable} -m oomguard"
    return [
        each.replace("oomguard", us, 1).replace("/shared/job.json", str(job)).replace("/10", f"/{PODS}")
        for each in found
    ]


def start(command: str, index: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sh", "-c", command], env={**os.environ, "JOB_COMPLETION_INDEX": str(index)})


def test_an_indexed_job_makes_what_one_machine_makes(corpus: Path, tmp_path: Path) -> None:
    job, out = tmp_path / "job.json", tmp_path / "out"
    line = [sys.executable, "-m", "oomguard", "prepare", *inputs(corpus), "--out", str(out), "--format", "npy",
            "--shard-tokens", "200000", "--unit-size", "200K", "--job-only", "--job-file", str(job)]  # fmt: skip
    subprocess.run(line, check=True)
    for command in commands(job):
        pods = [start(command, index) for index in range(PODS)]
        while not list((out / ".oomguard/parts").glob("*.claim")) and any(pod.poll() is None for pod in pods):
            time.sleep(0.01)
        pods[0].send_signal(signal.SIGKILL)
        statuses = [pod.wait(timeout=300) for pod in pods]
        assert statuses[1:] == [0] * (PODS - 1)
        if statuses[0]:
            assert start(command, 0).wait(timeout=300) == 0
    subprocess.run([sys.executable, "-m", "oomguard", "finish", str(job)], check=True)
    assert shards(out) == shards(corpus / "alone")
    assert not list((out / ".oomguard/parts").glob("*.part"))
