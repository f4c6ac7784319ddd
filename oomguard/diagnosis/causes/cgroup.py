"""Whose limit a cgroup reached, what filled it, and the path of a cgroup in the words of whoever made it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.diagnosis.causes.accounting import account_memcg
from oomguard.diagnosis.model import KillCause
from oomguard.formats.kernel_log.records import NO_LIMIT
from oomguard.units import format_size

if TYPE_CHECKING:
    from oomguard.diagnosis.model import Accounting, Filler
    from oomguard.formats.kernel_log import MemcgReport, OomEvent


# The path of a cgroup in the words of whoever made it: a container, a pod, a batch job, a service, a login.
#
# Sources: systemd.unit(5) on names and escapes, systemd src/basic/cgroup-util.c; Docker, containerd, CRI-O and podman
# cgroup parents; Kubernetes pkg/kubelet/cm/cgroup_manager_linux.go; Slurm plugins/cgroup/v1 and v2; LXC.


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
    (re.compile(r"oomguard-(?P<name>[0-9-]+)"), "budget", "the job of oomguard run (pid {name})"),
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
    return CgroupName(kind="other", words=f"the cgroup {unescape(path)}", name=path)


def unescape(name: str) -> str:
    r"""Undo systemd's "\x2d" for "-"."""
    return _ESCAPED.sub(lambda escape: chr(int(escape[1], 16)), name)


_FULL = 0.98  # of the limit: charges are made in batches of 64 pages per processor

_TEXTS: dict[Filler, str] = {
    "anon": "the processes' own (anonymous) memory filled it",
    "shmem": "files in /dev/shm or a tmpfs, or memory shared between processes, filled it",
    "dirty": "file data that was not yet written to disk filled it: the disk was slower than the writer",
    "cache": "file data filled it",
    "kernel": "the kernel's own memory for this group (objects, stacks, page tables) filled it, not the programs' data",
    "sock": "network buffers filled it",
}


def explain_memcg(event: OomEvent) -> KillCause:
    """Name the owner of the limit and what the group was charged with."""
    memcg = event.memcg
    limit = memcg.limit if memcg and memcg.limit is not None and memcg.limit < NO_LIMIT else None
    owner = describe_cgroup(event.oom_memcg).words if event.oom_memcg else "a cgroup whose name is not in this log"
    ancestor = bool(
        event.oom_memcg and event.task_memcg and event.task_memcg.startswith(event.oom_memcg.rstrip("/") + "/")
    )
    accounting = account_memcg(memcg) if memcg else None
    filler, held = _filler(event, accounting)
    return KillCause(
        kind="memcg",
        why=_why(event, owner, limit, ancestor=ancestor, filled=_filled(filler, held, accounting)),
        room=_room(memcg, limit),
        filler=filler,
        accounting=accounting,
        limit=limit,
        limit_owner=owner,
        ancestor=ancestor,
        notes=_notes(memcg, limit),
    )


def _why(
    event: OomEvent,
    owner: str,
    limit: int | None,
    *,
    ancestor: bool,
    filled: str,
) -> str:
    memcg = event.memcg
    if (
        memcg is not None
        and memcg.limit is not None
        and limit is None
        and not _is_full(memcg.memsw_usage, memcg.memsw_limit)
    ):
        policy = "a policy (BPF)" if "BPF" in (event.constraint_text or "") else "a rule that the log does not show"
        return f"{owner} has no memory limit of its own; {policy} asked for the kill."
    size = f" of {format_size(limit)}" if limit is not None else ""
    why = f"the memory limit{size} of {owner} was reached"
    if (
        memcg is not None
        and limit is not None
        and not _is_full(memcg.usage, limit)
        and _is_full(memcg.memsw_usage, memcg.memsw_limit)
    ):
        why = f"{owner} reached its limit of {format_size(memcg.memsw_limit or 0)} for memory and swap together"
    if ancestor and event.task_memcg:
        why += f"; that limit is shared: it is not the limit of {describe_cgroup(event.task_memcg).words} alone"
    return f"{why}{filled}. The machine as a whole may have had free memory."


def _filled(filler: Filler | None, held: int, accounting: Accounting | None) -> str:
    if filler is not None and accounting is not None:
        return f"; {_TEXTS[filler]} ({format_size(held)} of {format_size(accounting.total)})"
    if filler is not None:
        return f"; {_TEXTS[filler]} ({format_size(held)} at least)"
    return "" if accounting is None else "; what filled it is not in this log"


def _is_full(usage: int | None, limit: int | None) -> bool:
    return usage is not None and limit is not None and limit < NO_LIMIT and usage >= _FULL * limit


def _filler(event: OomEvent, accounting: Accounting | None) -> tuple[Filler | None, int]:
    """What filled it, and how much: only what accounts for at least half of the usage is named.

    Where the statistics are missing (version 1 prints them apart), the processes' own memory is known from the table
    or from the victim's line.
    """
    if accounting is None:
        return None, 0
    sizes: dict[Filler, int] = {
        "anon": accounting.size_of("anon"),
        "shmem": accounting.size_of("shmem"),
        "cache": accounting.size_of("cache"),
        "kernel": accounting.size_of("kernel"),
        "sock": accounting.size_of("sock"),
    }
    filler = max(sizes, key=sizes.__getitem__)
    if sizes[filler] < accounting.total / 2:
        anon = sum(victim.anon_rss or 0 for victim in event.victims)
        table = event.tasks.rss if event.tasks else 0
        held = max(anon, min(table, accounting.total))
        return ("anon", held) if held >= accounting.total / 2 else (None, 0)
    if filler == "cache" and accounting.size_of("dirty") > sizes["cache"] / 2:
        return "dirty", accounting.size_of("dirty")
    return filler, sizes[filler]


def _room(memcg: MemcgReport | None, limit: int | None) -> str:
    if memcg is None or memcg.usage is None:
        return 'this log does not show how full that limit was (no "memory: usage" line)'
    of = f" of {format_size(limit)}" if limit is not None else " (no limit)"
    return f"{format_size(memcg.usage)}{of} was used; {_swap(memcg)}"


def _swap(memcg: MemcgReport) -> str:
    if memcg.swap_limit is not None:
        if memcg.swap_limit == 0:
            return "it was allowed no swap"
        used = format_size(memcg.swap_usage or 0)
        return f"{used} in swap" + (
            f" of {format_size(memcg.swap_limit)} allowed" if memcg.swap_limit < NO_LIMIT else ""
        )
    if memcg.memsw_limit is not None and memcg.memsw_limit < NO_LIMIT:
        return f"memory and swap together {format_size(memcg.memsw_usage or 0)} of {format_size(memcg.memsw_limit)}"
    return "no limit for swap was printed" if memcg.memsw_limit is None else "swap was not limited"


def _notes(memcg: MemcgReport | None, limit: int | None) -> tuple[str, ...]:
    if (
        memcg is None
        or limit is None
        or memcg.usage is None
        or _is_full(memcg.usage, limit)
        or _is_full(memcg.memsw_usage, memcg.memsw_limit)
    ):
        return ()
    return (
        (
            f"{format_size(limit - memcg.usage)} of the limit was unused: the request was larger, or "
            "memory was freed in the meantime"
        ),
    )
