"""The marks that containers, schedulers and Windows leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oomguard.kernel.machine import container_name, is_wsl, scheduler_job

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("file", "text", "name"),
    [
        (".dockerenv", "", "docker"),
        ("run/.containerenv", "", "podman"),
        ("run/systemd/container", "lxc\n", "lxc"),
        ("proc/1/environ", "PATH=/bin\0container=systemd-nspawn\0", "systemd-nspawn"),
        ("proc/1/cgroup", "0::/kubepods.slice/kubepods-pod1.slice/x.scope\n", "kubernetes"),
        ("proc/1/cgroup", "9:memory:/docker/1f2e\n", "docker"),
        ("proc/1/cgroup", "0::/init.scope\n", None),
    ],
)
def test_containers(tmp_path: Path, file: str, text: str, name: str | None) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    assert container_name(tmp_path) == name


def test_schedulers() -> None:
    assert scheduler_job({"SLURM_JOB_ID": "4711"}) == "Slurm job 4711"
    assert scheduler_job({"PBS_JOBID": "12.host"}) == "PBS job 12.host"
    assert scheduler_job({}) is None


def test_wsl(tmp_path: Path) -> None:
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/osrelease").write_text("5.15.167.4-microsoft-standard-WSL2\n")
    assert is_wsl(tmp_path)
    (tmp_path / "proc/sys/kernel/osrelease").write_text("6.1.0-28-cloud-amd64\n")
    assert not is_wsl(tmp_path)
