"""What to do where a cgroup's limit was reached: how its owner raises it, or what its programs could leave."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from oomguard.diagnosis.advice.common import (
    biggest_group,
    ceiling,
    fewer,
    job_of,
    keep_the_log,
    shmem_advice,
    size_argument,
)
from oomguard.diagnosis.causes.cgroup import describe_cgroup
from oomguard.diagnosis.model import Advice
from oomguard.units import MIB

if TYPE_CHECKING:
    from oomguard.diagnosis.model import KillCause
    from oomguard.formats.kernel_log import OomEvent


def advise_memcg(event: OomEvent, cause: KillCause) -> list[Advice]:
    """Give what to do, the most useful first."""
    limit, group = cause.limit, biggest_group(event)
    if cause.filler == "dirty":
        return [
            _raise_limit(event, limit),
            Advice(
                text="or write more slowly, or sync now and then: what is on disk can be given back", command="sync"
            ),
        ]
    if cause.filler == "kernel":
        return [
            Advice(
                text=(
                    "the memory is the kernel's: many open files, processes, mounts or sockets in this "
                    "group; close or restart what opens them"
                )
            ),
            _raise_limit(event, limit),
        ]
    budgeted = event.oom_memcg is not None and describe_cgroup(event.oom_memcg).kind == "budget"
    found = [] if cause.filler == "shmem" or budgeted else [ceiling(event, cause)]
    if cause.filler == "shmem":
        found = shmem_advice(event, cause)[:2]
    if less := fewer(group, limit):
        found.insert(0, less)
    found.append(_raise_limit(event, limit))
    if cause.accounting is None:
        found.append(keep_the_log())
    return found


def _raise_limit(event: OomEvent, limit: int | None) -> Advice:
    """How the owner of this limit changes it."""
    name = describe_cgroup(event.oom_memcg) if event.oom_memcg else None
    size = size_argument(2 * limit) if limit else "SIZE"
    number = size.lower() if limit else "SIZE"
    kind = name.kind if name else "other"
    unit = shlex.quote(name.name) if name else ""
    user = "--user " if event.oom_memcg and "/user@" in event.oom_memcg else ""
    root = "" if user else "sudo "
    mib = str(2 * limit // MIB) if limit else "MIB"
    texts = {
        "container": Advice(
            text="or give the container more",
            command=f"docker update --memory {number} --memory-swap {number} {unit}",
        ),
        "podman": Advice(text="or give the container more", command=f"podman update --memory {number} {unit}"),
        "ecs": Advice(
            text="or raise memory of the container (and of the task) in the task definition",
            command=f"aws ecs describe-tasks --tasks {unit}",
        ),
        "pod": Advice(
            text="or raise resources.limits.memory of the container, and deploy it again",
            command=_find_pod(event),
        ),
        "pods": Advice(
            text="this limit is the node's for all its pods: fewer pods here, a larger node, or ask the administrator",
            command="kubectl describe node NODE | grep -A8 Allocated",
        ),
        "slurm": Advice(text="or ask for more memory", command=f"sbatch --mem={size} JOB.sh"),
        "pbs": Advice(
            text="or ask for more memory", command=f"qsub -l select=1:mem={number}{'b' if limit else ''} JOB.sh"
        ),
        "lsf": Advice(text="or ask for more memory", command=f"bsub -M {size} -R 'rusage[mem={size}]' ./JOB.sh"),
        "condor": Advice(text="or ask for more in the submit file", command=f"request_memory = {mib}"),
        "proxmox": Advice(text="or give the VM more (in MiB)", command=f"qm set {unit} --memory {mib}"),
        "machine": Advice(
            text="or give the machine more", command="virsh list --all; virsh setmaxmem NAME SIZE --config"
        ),
        "service": Advice(
            text="or raise the limit of the service",
            command=f"{root}systemctl {user}set-property {unit} MemoryMax={size}",
        ),
        "slice": Advice(
            text="or raise the limit, which everything in it shares",
            command=f"{root}systemctl {user}set-property {unit} MemoryMax={size}",
        ),
        "scope": Advice(
            text="or start it with a larger limit",
            command=f"systemd-run {user}--scope -p MemoryMax={size} {job_of(event)}",
        ),
        "lxc": Advice(text="or give the container more", command=_lxc(unit, size, mib)),
        "budget": Advice(
            text="or give it a larger budget", command=f"oomguard run --max-rss {size} -- {job_of(event)}"
        ),
    }
    is_version_1 = event.memcg is not None and event.memcg.memsw_usage is not None
    file = "memory.limit_in_bytes" if is_version_1 else "memory.max"
    example = f", for example to {size}" if limit else ""
    return texts.get(kind, Advice(text=f"or ask whoever set this limit to raise it ({file}){example}"))


def _lxc(name: str, size: str, mib: str) -> str:
    """Proxmox names its containers by number."""
    return f"pct set {name} --memory {mib}" if name.isdigit() else f"lxc config set {name} limits.memory {size}"


def _find_pod(event: OomEvent) -> str:
    """The kernel knows a pod by its UID."""
    found = re.search(r"pod([0-9a-f][0-9a-f_-]{7,40})", event.oom_memcg or "")
    if found is None:
        return "kubectl describe pod POD | grep -A3 Limits"
    uid = found[1].replace("_", "-")
    columns = "NS:.metadata.namespace,POD:.metadata.name,UID:.metadata.uid"
    return f"kubectl get pods -A -o custom-columns={columns} | grep {uid}"
