"""A real Slurm and a real Ray on this machine: daemons of the test's own, on ports and in folders of its own."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oomguard.preparation.api import prepare
from oomguard.preparation.options import PrepareOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

WORDS = [
    "to",
    "from",
    "this",
    "that",
    "by",
    "be",
    "his",
    "and",
    "the",
    "with",
    "at",
    "is",
    "ünï",
    "你好",
    "x1",
    "2026",
    "don't",
]
SLURM_COMMON = """SlurmctldHost=localhost
AuthType=auth/munge
SlurmUser=root
SlurmdUser=root
ProctrackType=proctrack/linuxproc
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
ReturnToService=2
SlurmctldPort={ctld}
SlurmdPort={slurmd}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName=localhost CPUs=2 RealMemory=4000
PartitionName=all Nodes=localhost Default=YES MaxTime=10 State=UP OverSubscribe=NO
"""
SLURM_CONF = f"""ClusterName=test
TaskPlugin=task/none
JobAcctGatherParams=OverMemoryKill
{SLURM_COMMON}"""


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Text, JSON Lines and Parquet of a few MB, and the shards that one machine makes of them, in `alone`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("corpus")
    chance = random.Random(7)

    def document() -> str:
        return " ".join(chance.choices(WORDS, k=chance.randrange(300)))

    (folder / "a.txt").write_text("\n\n".join(document() for _ in range(2000)))
    with (folder / "b.jsonl").open("w") as file:
        file.writelines(json.dumps({"text": document()}) + "\n" for _ in range(2000))
    pq.write_table(pa.table({"text": [document() for _ in range(2000)]}), folder / "c.parquet", row_group_size=200)
    prepare(PrepareOptions(inputs=inputs(folder), out=folder / "alone", format="npy", shard_tokens=100_000))
    return folder


def inputs(folder: Path) -> tuple[str, ...]:
    return tuple(str(folder / name) for name in ("a.txt", "b.jsonl", "c.parquet"))


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.npy"))}


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which Slurm's commands find the cluster."""
    missing = [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        pytest.skip("needs root, and Debian's slurmctld slurmd slurm-client munge")
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    conf = folder / "slurm.conf"
    conf.write_text(SLURM_CONF.format(ctld=free_port(), slurmd=free_port(), folder=folder))
    environment = {**os.environ, "SLURM_CONF": str(conf)}
    run = Path("/run/munge")
    run.mkdir(exist_ok=True)
    shutil.chown(run, "munge", "munge")
    own_munge = not (run / "munge.socket.2").exists()
    if own_munge:
        subprocess.run(["runuser", "-u", "munge", "--", "munged"], check=True)
    pids = [int((run / "munged.pid").read_text())] if own_munge else []
    try:
        for name in ("slurmctld", "slurmd"):
            subprocess.run([name, "-f", str(conf)], check=True, env=environment, capture_output=True)
            pids.append(_pid_in(folder / f"{name}.pid"))
        _wait_until_idle(environment)
        yield environment
    finally:
        for pid in reversed(pids):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def _pid_in(file: Path) -> int:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with suppress(OSError, ValueError):
            return int(file.read_text())
        time.sleep(0.1)
    raise TimeoutError(file)


def _wait_until_idle(environment: dict[str, str]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        done = subprocess.run(["sinfo", "-h", "-o", "%T"], env=environment, capture_output=True, text=True, check=False)
        if done.stdout.strip() == "idle":
            return
        time.sleep(0.3)
    raise TimeoutError("no node of Slurm is idle")
