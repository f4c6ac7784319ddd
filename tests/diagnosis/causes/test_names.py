"""Paths as real machines had them, in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.diagnosis.causes.cgroup import describe_cgroup

ID = "2e088fe462e25e60be1dafafe2c05c47bda1a97978648d10ad2b7484fc0b8f50"
PATHS = {
    "/": ("root", "the whole machine"),
    f"/docker/{ID}": ("container", "the Docker container 2e088fe462e2"),
    f"/system.slice/docker-{ID}.scope": ("container", "the Docker container 2e088fe462e2"),
    f"/machine.slice/libpod-{ID}.scope/container": ("podman", "the podman container 2e088fe462e2"),
    "/kubepods.slice": ("pods", "all pods on this node together"),
    "/kubepods.slice/kubepods-besteffort.slice": ("pods", "all BestEffort pods on this node together"),
    f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podb2aa0d1e_2a76.slice/cri-containerd-{ID}.scope": (
        "pod", "the containerd container 2e088fe462e2 of pod b2aa0d1e-2a76",
    ),
    "/kubepods/burstable/podb2aa0d1e-2a76": ("pod", "the Burstable pod b2aa0d1e-2a76 (all its containers)"),
    "/slurm/uid_1000/job_25428400/step_batch": ("slurm", "Slurm job 25428400, step batch (user 1000)"),
    "/system.slice/slurmstepd.scope/job_77/step_0/user/task_0": ("slurm", "Slurm job 77, step 0"),
    "/lxc.payload.test": ("lxc", "the LXC container test"),
    "/lxc/web": ("lxc", "the LXC container web"),
    "/system.slice/clamav-daemon.service": ("service", "the systemd service clamav-daemon.service"),
    r"/user.slice/user-1000.slice/user@1000.service/app.slice/app-Hyprland-xdg\x2dterminal\x2dexec-0ae8dde6.scope": (
        "scope", "the application xdg-terminal-exec-0ae8dde6",
    ),
    "/user.slice/user-1000.slice/session-3.scope": ("scope", "the login session 3"),
    "/user.slice/user-1000.slice/user@1000.service/app.slice/run-u640.service": ("scope", "the systemd-run service run-u640.service"),
    "/a/oomguard-1544": ("budget", "the job of oomguard run (pid 1544)"),
    "/team": ("other", "the cgroup /team"),
}  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_a_path_in_words(path: str) -> None:
    described = describe_cgroup(path)
    assert (described.kind, described.words) == PATHS[path]


@given(st.text())
def test_any_text_is_described(path: str) -> None:
    assert describe_cgroup(path).words
