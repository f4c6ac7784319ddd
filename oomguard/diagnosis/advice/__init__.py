"""What to do about a kill; pure."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from oomguard.diagnosis.advice.common import size_argument
from oomguard.diagnosis.advice.kernel import advise, with_script
from oomguard.diagnosis.killers import BY_IDENT
from oomguard.diagnosis.killers.base import size_told
from oomguard.diagnosis.model import Advice
from oomguard.formats.kernel_log import OtherKill
from oomguard.text import as_root

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.diagnosis.advice.kernel import SuspectScript
    from oomguard.diagnosis.model import ExplainedEvent
    from oomguard.formats.cgroup import OomCounters
    from oomguard.formats.kernel_log import Notice, OomEvent


_MOST = 4


def choose_advice(
    *,
    main: ExplainedEvent | None,
    other: OtherKill | None,
    unit: str | None,
    counters: OomCounters | None,
    notice: Notice | None,
    unfiltered: str | None,
    pasted: bool,
    script: SuspectScript | None,
    also_told: Sequence[OtherKill] = (),
) -> list[Advice]:
    """What to do, the most useful first, by the best that is known.

    `unfiltered` is the command that shows all kills, where a filter was given.
    """
    if main is not None and other is None:
        found = advise(main.event, main.cause, script=script)
        special = [step for told in also_told for step in advise_other(told)[1:2]]
        library = advise_libraries(main.event, script)
        return [*found[: _MOST - len(special) - len(library)], *special[:1], *library[:1]]
    return [
        with_script(step, script) for step in _without_report(other, unit, counters, notice, unfiltered, pasted=pasted)
    ]


def _without_report(
    other: OtherKill | None,
    unit: str | None,
    counters: OomCounters | None,
    notice: Notice | None,
    unfiltered: str | None,
    *,
    pasted: bool,
) -> list[Advice]:
    if other is not None:
        return advise_other(other)
    if unit is not None:
        return advise_unit(unit)
    if counters is not None:
        return advise_counters(counters)
    if notice is not None:
        return advise_notice(notice)
    return advise_nothing_found(unfiltered=unfiltered, pasted=pasted)


# Libraries that are known to fill memory, recognized by the names of their processes or by a script's imports.


@dataclass(frozen=True, slots=True, kw_only=True)
class _Library:
    processes: re.Pattern[str]  # names of its processes: 15 bytes
    code: re.Pattern[str]  # a script that uses it that way
    advice: Advice


_NOTHING = re.compile(r"(?!)")
_LIBRARIES = (
    _Library(
        processes=re.compile(r"pt_data_worker"),
        code=re.compile(r"\bDataLoader\([^)]{0,400}num_workers\s*=\s*(?!0\b)"),
        advice=Advice(
            text=(
                "DataLoader's workers: each ends up with a copy of the dataset's Python lists and dicts (reading "
                "them writes their reference counts); keep it in numpy or Arrow arrays, with fewer workers"
            )
        ),
    ),
    _Library(
        processes=_NOTHING,
        code=re.compile(r"\.map\([^)]{0,400}num_proc\s*=|load_dataset\([^)]{0,400}num_proc\s*="),
        advice=Advice(
            text="datasets.map(num_proc=N): each worker was seen to hold about 680 MB; fewer workers, smaller batches",
            command="ds.map(f, num_proc=2, batch_size=100, writer_batch_size=100)",
        ),
    ),
    _Library(
        processes=re.compile(r"hf[-_]xet|hf_transfer"),
        code=re.compile(r"\b(?:snapshot_download|hf_hub_download|upload_(?:folder|large_folder))\("),
        advice=Advice(
            text="downloads from the Hugging Face Hub hold large buffers (hf_xet): fewer at a time",
            command="export HF_XET_HIGH_PERFORMANCE=0 HF_XET_NUM_CONCURRENT_RANGE_GETS=4",
        ),
    ),
    _Library(
        processes=re.compile(r"ray::|raylet|plasma_store"),
        code=re.compile(r"\bray\.init\((?![^)]{0,400}object_store_memory)"),
        advice=Advice(
            text="Ray keeps objects in /dev/shm, by default in 30% of the memory: it counts as used",
            command="ray.init(object_store_memory=2 * 1024**3)",
        ),
    ),
    _Library(
        processes=_NOTHING,
        code=re.compile(r"^\s*(?:import|from)\s+gigatoken\b", re.MULTILINE),
        advice=Advice(
            text="gigatoken's cache of pieces grows with the text: encode a file in several processes, one part each"
        ),
    ),
    _Library(
        processes=re.compile(r"pytest|py\.test"),
        code=_NOTHING,
        advice=Advice(
            text="pytest -n auto starts one worker for each processor, whatever the memory", command="pytest -n 2"
        ),
    ),
)


def advise_libraries(event: OomEvent, script: SuspectScript | None) -> list[Advice]:
    """What is known of the libraries whose processes held the memory, or that the script uses."""
    names = [victim.name for victim in event.victims]
    if event.tasks is not None:
        names += [group.name for group in event.tasks.groups[:3]]
    code = script.text if script is not None else ""
    return [
        library.advice
        for library in _LIBRARIES
        if any(library.processes.match(name) for name in names) or (code and library.code.search(code))
    ]


# What to do where a program killed, where only counters could be read, and where nothing was found.


_MOST_OF_PROGRAMS = 4


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
        return [ceiling, *own][:_MOST_OF_PROGRAMS]
    first = replace(own[0], text=own[0].text.removeprefix("or "))  # a limit that somebody asked for: ask for more
    return [first, *own[1:2], ceiling, *own[2:]][:_MOST_OF_PROGRAMS]


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
