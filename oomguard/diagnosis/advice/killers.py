"""What to do where a program killed, where only counters could be read, and where nothing was found."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from oomguard.diagnosis.advice.common import size_argument
from oomguard.diagnosis.causes.model import Advice

if TYPE_CHECKING:
    from oomguard.formats.kernel_log import OtherKill


def advise_other(kill: OtherKill) -> list[Advice]:
    """What to do after another program's kill."""
    budget = f"oomguard run --max-rss {size_argument(0.85 * kill.rss) if kill.rss else 'SIZE'} -- COMMAND"
    ceiling = Advice(
        text="run it under a budget: it is stopped in time, and you are told what held the memory", command=budget
    )
    if kill.killer == "systemd-oomd":
        return [ceiling, *_oomd(kill)]
    return [ceiling, *_OTHER.get(kill.killer, ())]


def _oomd(kill: OtherKill) -> tuple[Advice, ...]:
    unit = (kill.cgroup or "UNIT").rpartition("/")[2]
    user = "--user " if "/user@" in (kill.cgroup or "") or "app-" in unit else ""
    spare = f"systemctl {user}set-property {shlex.quote(unit)} ManagedOOMPreference=avoid"
    return (
        Advice(text="see what it watches, and how near each group is", command="oomctl"),
        Advice(text="or let it spare this one", command=spare),
    )


_OTHER = {
    "earlyoom": (
        Advice(
            text="or let it spare the program: EARLYOOM_ARGS with --avoid", command="sudoedit /etc/default/earlyoom"
        ),
    ),
    "nohang": (
        Advice(text="or let it spare the program, in its configuration", command="sudoedit /etc/nohang/nohang.conf"),
    ),
    "oomd": (Advice(text="or change its rules for this cgroup", command="sudoedit /etc/oomd.json"),),
    "slurm": (
        Advice(text="or ask for more memory", command="sbatch --mem=SIZE JOB.sh"),
        Advice(text="see how much the job used", command="sacct -j JOBID --format=JobID,State,ReqMem,MaxRSS"),
    ),
    "ray": (
        Advice(
            text="or fewer tasks at a time: ask for more of the node for each",
            command="@ray.remote(memory=SIZE_IN_BYTES)",
        ),
        Advice(text="or raise the threshold at which Ray kills", command="export RAY_memory_usage_threshold=0.98"),
    ),
    "dask": (
        Advice(
            text="or fewer threads for each worker, more memory for each, smaller partitions",
            command="dask worker --nthreads 1 --memory-limit SIZE ADDRESS",
        ),
    ),
    "kubelet": (
        Advice(
            text="or request what the pod needs, so that it is placed where there is room",
            command="kubectl describe pod POD | grep -A6 'Last State'",
        ),
    ),
    "lmkd": (Advice(text="close other apps, or make this one smaller: Android keeps what is in front"),),
}


def advise_nothing_found() -> list[Advice]:
    """What else ends a process with 137, and how to know next time."""
    return [
        Advice(
            text=(
                "exit status 137 only says SIGKILL: kill -9, docker stop, timeout -s KILL, a batch "
                "system's time limit send it too"
            )
        ),
        Advice(text="next time run it under a watch that tells", command="oomguard run --max-rss SIZE -- COMMAND"),
        Advice(text="or keep the kernel's log while it runs", command="sudo dmesg --follow > kernel.log"),
    ]


def advise_unit(unit: str) -> list[Advice]:
    """What to do when only systemd's word is there."""
    return [
        Advice(
            text="see the unit's own log and limit",
            command=f"systemctl show {shlex.quote(unit)} -p Result,MemoryMax,MemoryPeak,OOMPolicy",
        ),
        Advice(text="read the kernel's report, which has the numbers", command="sudo oomguard diagnose"),
    ]


def advise_counters(*, batch_job: str | None, in_kubernetes: bool) -> list[Advice]:
    """Where the rest of the answer is, when only counters could be read."""
    found = [Advice(text="read the kernel's log, which names what died and why", command="sudo oomguard diagnose")]
    if batch_job is not None and batch_job.isdigit():
        found = [
            Advice(
                text="see what Slurm says", command=f"sacct -j {batch_job} --format=JobID,State,ExitCode,ReqMem,MaxRSS"
            )
        ]
    elif in_kubernetes:
        found = [
            Advice(
                text="see what Kubernetes says, from outside",
                command="kubectl describe pod POD | grep -A6 'Last State'",
            )
        ]
    return [
        *found,
        Advice(
            text="run it under a budget next time: you are told what held the memory",
            command="oomguard run --max-rss SIZE -- COMMAND",
        ),
    ]
