"""Advice that fits several causes: the job under a budget, fewer workers, what lies in /dev/shm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.model import Advice
from oomguard.units import GIB, MIB, format_size

if TYPE_CHECKING:
    from oomguard.diagnosis.model import KillCause
    from oomguard.formats.kernel_log import OomEvent, TaskGroup

_MANY = 3  # processes of one name: a pool of workers
# What Python's processes are called, and those of libraries that rename them.
PYTHON_NAMES = ("python", "ray::", "VLLM", "pt_main_thread", "ipykernel", "jupyter", "torchrun", "pt_data_worker")


def size_argument(size: float) -> str:
    """A size for a command line, rounded down to two digits that count: "12G", "900M"."""
    if size >= 10 * GIB:
        return f"{int(size // GIB)}G"
    if size >= GIB:
        return f"{int(size / GIB * 10) / 10:g}G"
    return f"{max(1, int(size // MIB))}M"


def job_of(event: OomEvent) -> str:
    """The command that the victim's name lets us guess, to be completed."""
    names = [victim.name for victim in event.victims] or [event.trigger_name or ""]
    return "python SCRIPT" if any(name.startswith(PYTHON_NAMES) for name in names) else "COMMAND"


def biggest_group(event: OomEvent) -> TaskGroup | None:
    """The processes of one name that together held most."""
    return event.tasks.groups[0] if event.tasks and event.tasks.groups else None


def ceiling(event: OomEvent, cause: KillCause) -> Advice:
    """The same job under a budget: it alone stops, before the kernel has to choose."""
    limit = cause.limit
    if limit is None and cause.accounting is not None and cause.kind == "exhaustion":
        group = biggest_group(event)
        others = sum(other.rss for other in event.tasks.groups[1:]) if event.tasks else 0
        room = cause.accounting.total - cause.accounting.size_of("slab") - max(0, cause.accounting.unaccounted)
        limit = int(room - min(others, room // 2)) if group else room
    seen = "which line" if job_of(event) != "COMMAND" else "what"
    budget = size_argument(0.85 * limit) if limit and limit > 8 * MIB else "SIZE"
    return Advice(
        text=(
            f"run it under a budget: it will be stopped before memory runs out, and you will see {seen} held the memory"
        ),
        command=f"oomguard run --max-rss {budget} -- {job_of(event)}",
    )


def fewer(group: TaskGroup | None, room: int | None) -> Advice | None:
    """How many of the workers would fit. None: there are not many, or they are not what filled it."""
    if group is None or group.count < _MANY or not room or group.rss < room / 4:
        return None
    each = group.rss / group.count
    fit = max(1, int(0.85 * room / max(each, 1)))
    if fit >= group.count:
        fit = max(1, group.count * 3 // 4)
    return Advice(
        text=(
            f"start fewer {group.name} processes: the {group.count} held {format_size(each)} each on average; try "
            f"{fit} or fewer"
        )
    )


def shmem_advice(event: OomEvent, cause: KillCause) -> list[Advice]:
    """What to do about files in memory."""
    return [
        Advice(
            text=(
                "see what lies in /dev/shm and other tmpfs, and remove what is not needed: it stays when "
                "its program ends"
            ),
            command="df -h -t tmpfs; ls -lhS /dev/shm | head",
        ),
        Advice(
            text="PyTorch's DataLoader passes batches through /dev/shm: fewer workers, or a smaller prefetch_factor"
        ),
        ceiling(event, cause),
    ]


def keep_the_log() -> Advice:
    """So that next time it can be told."""
    return Advice(
        text="next time keep the whole report", command="journalctl -k -b > oom.log; oomguard diagnose oom.log"
    )
