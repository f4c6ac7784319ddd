"""A step of a real Slurm job that the kernel kills at the job's limit, told by the job's output and by a live `sacct`.

Memory is enforced (task/cgroup), and the accounting is Slurm's own: slurmdbd with a MariaDB of the test's own.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oomguard.diagnosis.api import diagnose
from tests.cluster.conftest import SLURM_COMMON, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("slurm")]

PROGRAMS = ("munged", "slurmctld", "slurmd", "slurmdbd", "sacct", "sbatch", "mariadbd", "mariadb-install-db")
MEMORY = Path("/sys/fs/cgroup/memory/cgroup.procs")
SLURM_CONF = f"""ClusterName=accounted
AuthInfo=socket={{folder}}/munge.socket
TaskPlugin=task/cgroup
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={{dbd}}
AccountingStoragePass={{folder}}/munge.socket
{SLURM_COMMON}"""
CGROUP_CONF = """CgroupPlugin=cgroup/v1
CgroupMountpoint=/sys/fs/cgroup
CgroupAutomount=no
ConstrainRAMSpace=yes
ConstrainCores=no
"""
DBD_CONF = """AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdPort={dbd}
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=accounted
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
"""
JOB = """#!/bin/bash
echo "step 1"
srun python3 -c 'held = [b"x" * (1 << 20) for _ in range(400)]'
echo "srun gave $?"
"""


class Cluster:
    """Daemons in a folder, and the environment in which Slurm's commands find them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {
            **os.environ,
            "SLURM_CONF": str(folder / "slurm.conf"),
            "MYSQL_UNIX_PORT": str(folder / "db.socket"),
        }
        self._pids: list[int] = []
        self._database: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._write()
        f = self.folder
        self._run(
            "munged", "--force", f"--key-file={f}/munge.key", f"--socket={f}/munge.socket", f"--pid-file={f}/munged.pid",
            f"--log-file={f}/munged.log", f"--seed-file={f}/munge.seed",
        )  # fmt: skip
        self._pids.append(_pid_in(f / "munged.pid"))
        self._start_database()
        self._run("slurmdbd")
        self._pids.append(_pid_in(f / "slurmdbd.pid"))
        self._until(lambda: self.ask("sacctmgr", "-n", "show", "cluster").returncode == 0)
        self._run("sacctmgr", "-i", "add", "cluster", "accounted")
        for name in ("slurmctld", "slurmd"):
            self._run(name, "-f", str(f / "slurm.conf"))
            self._pids.append(_pid_in(f / f"{name}.pid"))
        self._until(lambda: self.ask("sinfo", "-h", "-o", "%T").stdout.strip() == "idle")
        # Before the controller is registered, the accounting knows no number for the memory of a job.
        self._until(lambda: self.ask("sacctmgr", "-nP", "show", "cluster", "format=ControlHost").stdout.strip() != "")

    def stop(self) -> None:
        for pid in reversed(self._pids):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            with suppress(TimeoutError):
                self._until(lambda pid=pid: not Path(f"/proc/{pid}").exists())
        if self._database is not None:
            self._database.terminate()
            self._database.wait(60)

    def ask(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=self.env, capture_output=True, text=True, check=False)

    def submit(self, *options: str) -> tuple[str, Path]:
        """Give the job's number, and its output when it has ended."""
        script, out = self.folder / "prep.sh", self.folder / "prep.out"
        script.write_text(JOB)
        done = self.ask("sbatch", "--parsable", f"--output={out}", *options, str(script))
        assert done.returncode == 0, done.stderr
        job = done.stdout.strip()
        ended = re.compile(r"\b(?:OUT_OF_MEMORY|FAILED|COMPLETED)\b")
        self._until(lambda: bool(ended.search(self.ask("sacct", "-n", "-X", "-o", "State%20", "-j", job).stdout)))
        return job, out

    def _write(self) -> None:
        ports = {"ctld": free_port(), "slurmd": free_port(), "dbd": free_port()}
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        (self.folder / "munge.key").write_bytes(secrets.token_bytes(128))
        for name, text in (("slurm.conf", SLURM_CONF), ("cgroup.conf", CGROUP_CONF), ("slurmdbd.conf", DBD_CONF)):
            (self.folder / name).write_text(text.format(folder=self.folder, **ports))
        for name in ("slurmdbd.conf", "munge.key"):
            (self.folder / name).chmod(0o600)

    def _start_database(self) -> None:
        data = self.folder / "db"
        self._run(
            "mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}", "--auth-root-authentication-method=normal",
            "--skip-test-db",
        )  # fmt: skip
        self._database = subprocess.Popen(
            [
                "mariadbd", "--no-defaults", "--user=root", f"--datadir={data}", f"--socket={self.folder}/db.socket",
                f"--pid-file={self.folder}/db.pid", "--skip-networking", "--innodb-buffer-pool-size=32M",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self._until((self.folder / "db.socket").exists)

    def _run(self, *command: str) -> None:
        done = self.ask(*command)
        assert done.returncode == 0, (command, done.stdout, done.stderr)

    @staticmethod
    def _until(is_so: object, seconds: float = 90) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if callable(is_so) and is_so():
                return
            time.sleep(0.3)
        raise TimeoutError(is_so)


def _pid_in(file: Path) -> int:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with suppress(OSError, ValueError):
            return int(file.read_text())
        time.sleep(0.1)
    raise TimeoutError(file)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing or os.geteuid() != 0 or not MEMORY.exists():
        pytest.skip("needs root, cgroup v1, and Debian's slurmctld slurmd slurmdbd slurm-client munge mariadb-server")
    made = Cluster(tmp_path_factory.mktemp("accounted"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.mark.slow
def test_a_step_that_the_kernel_killed(cluster: Cluster, tmp_path: Path) -> None:
    job, out = cluster.submit("--mem=100M")
    told = diagnose(out)
    text = out.read_text()
    assert (told.verdict, told.killer, told.found) == ("proved", "slurm", 1), text
    assert told.others[0].facts["job"] == job, text
    commands = [step.command or "" for step in told.advice]
    assert any(command.startswith("sbatch --mem=") for command in commands), commands

    # The next command that it names, run as it stands: the accounting answers, and says the same.
    accounting = next(command for command in commands if command.startswith("sacct "))
    answer = cluster.ask(*shlex.split(accounting))
    assert answer.returncode == 0, answer.stderr
    assert "OUT_OF_ME" in answer.stdout
    pasted = tmp_path / "sacct.txt"
    pasted.write_text(answer.stdout)
    counted = diagnose(pasted)
    assert (counted.verdict, counted.killer, counted.found) == ("proved", "slurm", 1), answer.stdout
    assert counted.others[0].facts["job"] == job
    # Slurm's "not known", 2^64 - 2 MiB: the job was over before the database knew what there is to ask for.
    is_known = "16?" not in answer.stdout
    assert counted.others[0].facts.get("limit") == ("100M" if is_known else None), answer.stdout
    size = "[0-9]+[MG]" if is_known else "SIZE"
    assert any(re.fullmatch(rf"sbatch --mem={size} JOB\.sh", step.command or "") for step in counted.advice), (
        counted.advice
    )

    # Both, as people paste them one after the other, and all of sacct's columns: still one kill.
    (tmp_path / "both.txt").write_text(text + answer.stdout)
    assert diagnose(tmp_path / "both.txt").found == 1
    for columns in ([], ["--long"], ["--parsable2"], ["--json"]):
        done = cluster.ask("sacct", "-j", job, *columns)
        pasted.write_text(done.stdout)
        if done.returncode == 0 and "OUT_OF_ME" in done.stdout:
            assert (diagnose(pasted).verdict, diagnose(pasted).found) == ("proved", 1), done.stdout


@pytest.mark.slow
def test_the_memory_that_it_names_is_enough(cluster: Cluster) -> None:
    """A limit that the step does not reach: the job ends as it should, and no kill is told."""
    job, out = cluster.submit("--mem=900M")
    assert "srun gave 0" in out.read_text()
    assert diagnose(out).verdict == "none"
    assert "COMPLETED" in cluster.ask("sacct", "-n", "-X", "-o", "State%20", "-j", job).stdout
