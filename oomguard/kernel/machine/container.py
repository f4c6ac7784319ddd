"""What this process is inside of: a container, a virtual Linux of Windows, a job of a scheduler."""

from __future__ import annotations

import os
from pathlib import Path

from oomguard.kernel.cgroup.directory import read_kernel_text


def container_name(root: Path = Path("/")) -> str | None:
    """Name the kind of container around this process ("docker", "podman", "lxc", "kubernetes" ...), None if none.

    Source: the marks that each leaves; systemd, docs/CONTAINER_INTERFACE.md for /run/systemd/container.
    """
    named = (read_kernel_text(root / "run/systemd/container") or "").strip()
    cgroup = read_kernel_text(root / "proc/1/cgroup") or ""
    if "kubepods" in cgroup or (root / "var/run/secrets/kubernetes.io").exists():
        return "kubernetes"
    if named:
        return named[:40]
    if (root / "run/.containerenv").exists():
        return "podman"
    if (root / ".dockerenv").exists() or "/docker/" in cgroup:
        return "docker"
    return _name_in_environment(root)


def _name_in_environment(root: Path) -> str | None:
    """PID 1's container=, which its own root alone may read."""
    for variable in (read_kernel_text(root / "proc/1/environ") or "").split("\0"):
        if variable.startswith("container="):
            return variable.removeprefix("container=")[:40] or None
    return None


def scheduler_job(environment: dict[str, str] | None = None) -> str | None:
    """Name the batch job this process is part of, such as "Slurm job 4711"; None if it is none."""
    given = os.environ if environment is None else environment
    for variable, name in (
        ("SLURM_JOB_ID", "Slurm"), ("PBS_JOBID", "PBS"), ("LSB_JOBID", "LSF"), ("SGE_TASK_ID", "Grid Engine"),
    ):  # fmt: skip
        if variable in given:
            return f"{name} job {given[variable][:40]}"
    return None


def is_wsl(root: Path = Path("/")) -> bool:
    """Whether this Linux runs inside Windows (WSL), whose .wslconfig limits its memory."""
    return "microsoft" in (read_kernel_text(root / "proc/sys/kernel/osrelease") or "").lower()
