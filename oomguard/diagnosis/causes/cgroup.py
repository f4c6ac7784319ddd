"""Whose limit a cgroup reached, and what filled it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.causes.accounting import account_memcg
from oomguard.diagnosis.causes.model import KillCause
from oomguard.diagnosis.causes.names import describe_cgroup
from oomguard.formats.kernel_log.records import NO_LIMIT
from oomguard.units import format_size

if TYPE_CHECKING:
    from oomguard.diagnosis.causes.model import Accounting, Filler
    from oomguard.formats.kernel_log import MemcgReport, OomEvent

_FULL = 0.98  # of the limit: charges are made in batches of 64 pages per processor

_TEXTS: dict[Filler, str] = {
    "anon": "programs filled it with their own data",
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
    return f"{why}{filled}. The machine itself may have had room."


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
