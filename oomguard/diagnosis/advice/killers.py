"""What to do where a program killed, where only counters could be read, and where nothing was found."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from oomguard.diagnosis.advice.common import size_argument
from oomguard.diagnosis.causes.model import Advice
from oomguard.diagnosis.killers import BY_IDENT
from oomguard.diagnosis.killers.entries import size_told
from oomguard.formats.kernel_log import OtherKill
from oomguard.text import as_root

if TYPE_CHECKING:
    from oomguard.formats.cgroup import OomCounters
    from oomguard.formats.kernel_log import Notice

_MOST = 4


def advise_other(kill: OtherKill) -> list[Advice]:
    """What to do after another program's kill."""
    sizes = [size for size in (kill.rss, size_told(kill, "limit")) if size]  # what it held may be more than it may hold
    budget = f"oomguard run --max-rss {size_argument(0.85 * min(sizes)) if sizes else 'SIZE'} -- COMMAND"
    ceiling = Advice(
        text="run it under a budget: it will be stopped before memory runs out, and you will see what held the memory",
        command=budget,
    )
    entry = BY_IDENT[kill.told_by]
    own = list(entry.advise(kill))
    if not entry.linux:
        return [replace(own[0], text=own[0].text.removeprefix("or ")), *own[1:]]
    if entry.early or (entry.killer != "kernel" and entry.in_logs and entry.blamed != "slurm") or not own:
        return [ceiling, *own][:_MOST]
    first = replace(own[0], text=own[0].text.removeprefix("or "))  # a limit that somebody asked for: ask for more
    return [first, *own[1:2], ceiling, *own[2:]][:_MOST]


_KEEP_LOG = Advice(text="or keep the kernel's log while it runs", command="sudo dmesg --follow > kernel.log")
_GET_LOG = Advice(
    text=(
        "the kernel log of the machine where it ran shows more: sudo dmesg there; in WSL: wsl dmesg; for a pod: "
        "kubectl debug node/NODE; for a cloud VM: its serial console (gcloud compute instances get-serial-port-output)"
    ),
    command="sudo dmesg | oomguard diagnose -",
)


def advise_nothing_found(*, unfiltered: str | None = None, pasted: bool = False) -> list[Advice]:
    """What else ends a process with 137, and how to know next time."""
    if unfiltered is not None:
        return [Advice(text="see every kill in the logs", command=unfiltered)]
    return [
        Advice(
            text=(
                "an exit status of 137 or -9 only means SIGKILL; kill -9, docker stop, timeout -s KILL and a batch "
                "system's time limit send it too"
            )
        ),
        Advice(
            text="next time, run it under a budget, so that you see what happened",
            command="oomguard run --max-rss SIZE -- COMMAND",
        ),
        _GET_LOG if pasted else _KEEP_LOG,
    ]


def advise_unit(unit: str) -> list[Advice]:
    """What to do when only systemd's word is there."""
    return [
        Advice(
            text="see the unit's own log and limit",
            command=f"systemctl show {shlex.quote(unit)} -p Result,MemoryMax,MemoryPeak,OOMPolicy",
        ),
        Advice(text="read the kernel's report, which has the numbers", command="sudo $(command -v oomguard) diagnose"),
    ]


def advise_counters(counters: OomCounters) -> list[Advice]:
    """Where the rest of the answer is, when only counters could be read: for who reads it, where they are."""
    job = counters.batch_job
    if job is not None and job.isdigit():
        found = Advice(
            text="see what Slurm says", command=f"sacct -j {job} --format=JobID,State,ExitCode,ReqMem,MaxRSS"
        )
    elif counters.in_kubernetes:
        found = Advice(
            text="see what Kubernetes says, from outside of the container",
            command="kubectl describe pod POD | grep -A6 'Last State'",
        )
    elif counters.in_container:
        found = Advice(
            text="read the kernel's log on the container's host: it names what died, and cannot be seen from here",
            command=as_root("diagnose") + "  # on the host",
        )
    else:
        found = Advice(
            text="read the kernel's log, which names what died and why", command="sudo $(command -v oomguard) diagnose"
        )
    return [
        found,
        Advice(
            text="run it under a budget next time: you will see what held the memory",
            command="oomguard run --max-rss SIZE -- COMMAND",
        ),
    ]


def advise_notice(notice: Notice) -> list[Advice]:
    """What to do about a SIGKILL without a reason, or memory that ran out elsewhere: where the answer stands."""
    """The next command, with the pid where the text has one."""
    from_entry = list(BY_IDENT[notice.told_by].advise(_as_kill(notice)))
    if notice.says == "elsewhere":
        return from_entry[:4]
    which = f" --pid {notice.pid}" if notice.pid is not None else ""
    look = Advice(
        text=(
            "check the kernel log of the machine where it ran (for a container: its host) soon, before it is "
            "overwritten"
        ),
        command=f"sudo $(command -v oomguard) diagnose{which}",
    )
    watch = Advice(
        text="or run it again under a budget, so that you see which line held the memory",
        command="oomguard run --max-rss SIZE -- COMMAND",
    )
    return [look, *from_entry[:2], watch]


def _as_kill(notice: Notice) -> OtherKill:
    return OtherKill(
        killer=notice.told_by, told_by=notice.told_by, time=notice.time, pid=notice.pid, name=notice.name, cgroup=None,
        processes=None, rss=None, reason=notice.reason, line=notice.line, facts=notice.facts,
    )  # fmt: skip
