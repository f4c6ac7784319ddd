"""The path of a cgroup in the words of whoever made it: a container, a pod, a batch job, a service, a login.

Sources: systemd.unit(5) on names and escapes, systemd src/basic/cgroup-util.c; Docker, containerd, CRI-O and podman
cgroup parents; Kubernetes pkg/kubelet/cm/cgroup_manager_linux.go; Slurm plugins/cgroup/v1 and v2; LXC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")
_CONTAINER = re.compile(
    r"(?:(?P<engine>docker|cri-containerd|crio|libpod|nerdctl)-)?(?P<id>[0-9a-f]{64})(?:\.scope)?(?:/container)?"
)
_POD = re.compile(
    r"(?:kubelet-)?(?:kubepods(?:-(?P<qos1>besteffort|burstable))?-)?pod(?P<uid>[0-9a-f][0-9a-f_-]{3,40})(?:\.slice)?"
)
_QOS = re.compile(r"(?:kubelet-)?kubepods-(?P<qos>besteffort|burstable)\.slice|(?P<plain>besteffort|burstable)")
_SLURM = re.compile(r"job_(?P<job>[0-9]+)(?:/step_(?P<step>[^/]+))?(?:/(?:user/)?task_(?P<task>[^/]+))?", re.ASCII)
_TEMPLATES = (  # pattern of a path's last part, kind, words
    (re.compile(r"condor_(?P<name>\S+)"), "condor", "an HTCondor job ({name})"),
    (re.compile(r"pbs(?:pro)?-(?P<name>[0-9]\S*?)\.slice"), "pbs", "PBS job {name}"),
    (re.compile(r"job\.(?P<name>[0-9]+)\.[0-9.]+"), "lsf", "LSF job {name}"),
    (re.compile(r"machine-qemu\\x2d[0-9]+\\x2d(?P<name>[^/]+)\.scope"), "machine", "the virtual machine {name}"),
    (re.compile(r"machine-(?P<name>[^/]+)\.scope"), "machine", "the container or machine {name}"),
    (re.compile(r"ecstasks-(?P<name>[0-9a-f-]+)\.slice"), "other", "the Amazon ECS task {name}"),
    (re.compile(r"session-(?P<name>[^/]+)\.scope"), "scope", "the login session {name}"),
    (re.compile(r"vte-spawn-[^/]+\.scope"), "scope", "a terminal window"),
    (re.compile(r"app-(?:[A-Za-z0-9]+-)?(?P<name>[^/]+?)(?:-[0-9]+)?\.scope"), "scope", "the application {name}"),
    # Made by systemd-run for one command, and gone with it: there is no limit to raise afterwards.
    (re.compile(r"run-(?P<name>[ru][0-9a-f]+\.(?P<kind>scope|service))"), "scope", "the systemd-run {kind} run-{name}"),
    (re.compile(r"oomguard-(?P<name>[0-9-]+)"), "budget", "the budget of oomguard run (pid {name})"),
    (re.compile(r"user@(?P<name>[0-9]+)\.service"), "slice", "everything that user {name} runs"),
    (re.compile(r"user-(?P<name>[0-9]+)\.slice"), "slice", "everything of user {name}"),
    (re.compile(r"(?P<name>[^/]+\.service)"), "service", "the systemd service {name}"),
    (re.compile(r"(?P<name>[^/]+\.scope)"), "scope", "the systemd scope {name}"),
    (re.compile(r"(?P<name>[^/]+\.slice)"), "slice", "the systemd slice {name}"),
)
_LXC = re.compile(r"(?:^|/)lxc(?:\.payload)?[./](?P<name>[^/]+)")
_WHOLE = {
    "/": "the whole machine",
    "/kubepods.slice": "all pods on this node together",
    "/kubepods": "all pods on this node together",
    "/system.slice": "all system services together",
    "/user.slice": "all users together",
    "/docker": "all Docker containers together",
    "/slurm": "all Slurm jobs together",
}
_QUALITY = {"besteffort": "BestEffort", "burstable": "Burstable"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupName:
    """A cgroup for people. `kind` says what could change its limit."""

    kind: str  # container, pod, pods, slurm, service, scope, slice, session, machine, budget, root, other
    words: str
    name: str  # what its maker calls it: the id of a container, the name of a unit, the number of a job


def describe_cgroup(path: str) -> CgroupName:
    """Say what a cgroup is, from its path as the host sees it. Raises: nothing."""
    if path in _WHOLE:
        return CgroupName(
            kind="root" if path == "/" else "pods" if "kubepods" in path else "slice", words=_WHOLE[path], name=path
        )
    if special := _slurm(path) or _by_path(path):
        return special
    last = path.rstrip("/").rpartition("/")[2]
    if last == "container" or last.startswith(("init.scope", "payload", "libpod-payload")):
        last = path.rstrip("/").split("/")[-2] if path.count("/") > 1 else last
    if found := _CONTAINER.fullmatch(last):
        return _container(path, found)
    if found := _POD.fullmatch(last):
        return _pod(path, found)
    if found := _QOS.fullmatch(last):
        quality = _QUALITY[found["qos"] or found["plain"]]
        return CgroupName(kind="pods", words=f"all {quality} pods on this node together", name=quality)
    return _by_template(path, last)


def _slurm(path: str) -> CgroupName | None:
    if "slurm" not in path:
        return None
    found = _SLURM.search(path)
    if found is None:
        return None
    user = re.search(r"/uid_([0-9]+)", path)
    words = f"Slurm job {found['job']}"
    words += f", step {found['step']}" if found["step"] else ""
    words += f" (user {user[1]})" if user else ""
    return CgroupName(kind="slurm", words=words, name=found["job"])


def _by_path(path: str) -> CgroupName | None:
    """What is known by more than the last part of its path."""
    if found := re.search(r"/qemu\.slice/(?P<vm>[0-9]{1,9})\.scope", path):
        return CgroupName(kind="proxmox", words=f"VM {found['vm']} of Proxmox", name=found["vm"])
    if found := re.search(
        r"/(?:ecs|ecstasks)[/.-](?P<task>[0-9a-f-]{8,64})(?:\.slice)?(?:/(?:docker-)?(?P<id>[0-9a-f-]{12,80}))?", path
    ):
        container = f"container {found['id'][:12]} of " if found["id"] else ""
        return CgroupName(kind="ecs", words=f"{container}the Amazon ECS task {found['task']}", name=found["task"])
    if found := re.search(
        r"/pbs(?:pro|_jobs)?(?:\.slice|\.service)?/(?:jobid/)?(?:pbs(?:pro)?-)?(?P<job>[0-9]{1,12}[^/]{0,60}?)(?:\.slice)?(?:/|$)",
        path,
    ):
        return CgroupName(kind="pbs", words=f"PBS job {unescape(found['job'])}", name=unescape(found["job"]))
    return None


def _container(path: str, found: re.Match[str]) -> CgroupName:
    engines = {
        "docker": "Docker",
        "cri-containerd": "containerd",
        "crio": "CRI-O",
        "libpod": "podman",
        "nerdctl": "containerd",
    }
    engine = engines.get(found["engine"] or "", "Docker" if "/docker/" in path else "")
    words = f"the {engine} container {found['id'][:12]}".replace("the  ", "the ")
    if pod := re.search(r"pod([0-9a-f][0-9a-f_-]{3,40})", path):
        words += f" of pod {pod[1].replace('_', '-')[:13]}"
    kind = "pod" if "kubepods" in path else "podman" if found["engine"] == "libpod" else "container"
    return CgroupName(kind=kind, words=words, name=found["id"][:12])


def _pod(path: str, found: re.Match[str]) -> CgroupName:
    uid = found["uid"].replace("_", "-")
    quality = next((words for key, words in _QUALITY.items() if key in path), "Guaranteed")
    return CgroupName(kind="pod", words=f"the {quality} pod {uid[:13]} (all its containers)", name=uid)


def _by_template(path: str, last: str) -> CgroupName:
    if found := _LXC.search(path):
        return CgroupName(kind="lxc", words=f"the LXC container {unescape(found['name'])}", name=found["name"])
    for pattern, kind, words in _TEMPLATES:
        if found := pattern.fullmatch(last):
            groups = {key: unescape(text) for key, text in found.groupdict().items()}
            return CgroupName(kind=kind, words=words.format(**groups), name=last)
    return CgroupName(kind="other", words=f"the group of processes {unescape(path)} (a cgroup)", name=path)


def unescape(name: str) -> str:
    r"""Undo systemd's "\x2d" for "-"."""
    return _ESCAPED.sub(lambda escape: chr(int(escape[1], 16)), name)
