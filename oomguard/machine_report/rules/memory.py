"""What a machine's memory, swap and overcommit mean for a big job.

Source: Linux Documentation/mm/overcommit-accounting.rst, accounting/psi.rst, admin-guide/mm/zswap.rst.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.machine_report.screens import Finding
from oomguard.units import GIB, MIB, format_size

if TYPE_CHECKING:
    from oomguard.machine_report.model import MemoryFacts

_LITTLE_LEFT = 0.1  # of the memory
_MOSTLY_USED = 0.8  # of the swap, of the commit limit
_WAITING = 0.1  # of the last minute
_SHM = "/dev/shm"  # noqa: S108 - looked at, not used
_SMALL_SHM = 256 * MIB
_ZSWAP_ON = "echo Y | sudo tee /sys/module/zswap/parameters/enabled"


def memory_findings(memory: MemoryFacts) -> list[Finding]:
    """Give a finding for each: memory, swap, compression, overcommit, waiting, kills, folders that are memory."""
    return [
        _memory(memory),
        _swap(memory),
        _compression(memory),
        _overcommit(memory),
        _pressure(memory),
        _kills(memory),
        *_tmpfs(memory),
    ]


def _memory(memory: MemoryFacts) -> Finding:
    if memory.total is None or memory.available is None:
        return Finding(topic="memory", text="/proc/meminfo does not say", fine=False, do="mount -t proc proc /proc")
    text = f"{format_size(memory.total)}, {format_size(memory.available)} of it available"
    if memory.available >= memory.total * _LITTLE_LEFT:
        return Finding(topic="memory", text=text)
    return Finding(
        topic="memory",
        text=f"{text}: little room for a job",
        fine=False,
        do="ps -eo rss,pid,user,comm --sort=-rss | head",
    )


def _swap(memory: MemoryFacts) -> Finding:
    size = sum(area.size for area in memory.areas)
    used = sum(area.used for area in memory.areas)
    if not size:
        suggested = max(1, round((memory.total or 8 * GIB) / GIB))
        return Finding(
            topic="swap",
            text="none: a job that needs more than the memory is killed at once",
            fine=False,
            do=f"oomguard swap --size {suggested}G",
        )
    text = f"{format_size(size)} in {_count(len(memory.areas), 'area')}, {format_size(used)} used"
    if used <= size * _MOSTLY_USED:
        return Finding(topic="swap", text=text)
    return Finding(topic="swap", text=f"{text}: nearly full", fine=False, do="oomguard swap status shows who holds it")


def _compression(memory: MemoryFacts) -> Finding:
    zram = [area for area in memory.areas if area.is_zram]
    disks = [area for area in memory.areas if not area.is_zram]
    held = "".join(
        f"; {each.name} holds {format_size(each.holds)} in {format_size(each.takes)}" for each in memory.compressed
    )
    if zram and disks and max(area.priority for area in zram) > max(area.priority for area in disks):
        return Finding(
            topic="zram",
            text=f"fills before the disk, which then gets what is needed soonest{held}",
            fine=False,
            do=f"oomguard swap remove {zram[0].path}",
        )
    if zram:
        return Finding(topic="zram", text=f"swap is compressed memory{held}")
    if memory.zswap is None:
        return Finding(topic="zswap", text="not in this kernel")
    if not memory.zswap and disks:
        return Finding(
            topic="zswap", text="off: pages go to the disk uncompressed, and at once", fine=False, do=_ZSWAP_ON
        )
    return Finding(topic="zswap", text=f"on{held}" if memory.zswap else "off, and without swap of no use")


def _overcommit(memory: MemoryFacts) -> Finding:
    match memory.overcommit:
        case 2:
            committed, limit = memory.committed or 0, memory.commit_limit or 0
            text = f"strict: malloc fails beyond {format_size(limit)}, of which {format_size(committed)} are promised"
            near = committed > limit * _MOSTLY_USED
            return Finding(
                topic="overcommit",
                text=f"{text}; forks and large maps fail although memory is free" if near else text,
                fine=not near,
                do="sudo sysctl vm.overcommit_memory=0" if near else None,
            )
        case 1:
            return Finding(topic="overcommit", text="always: malloc never fails; the kernel kills when memory runs out")
        case 0:
            return Finding(
                topic="overcommit",
                text="heuristic: malloc succeeds unless it asks for more than all memory and swap at once; "
                "the kernel kills when memory runs out",
            )
    return Finding(topic="overcommit", text="the kernel does not say")


def _pressure(memory: MemoryFacts) -> Finding:
    if memory.pressure is None:
        return Finding(
            topic="waiting",
            text="this kernel does not measure how long tasks wait for memory (PSI)",
            fine=False,
            do="boot with psi=1 on the kernel's command line",
        )
    share = memory.pressure.some_60s
    text = f"some task waited for memory in {100 * share:.0f} % of the last minute"
    if share < _WAITING:
        return Finding(topic="waiting", text=text)
    return Finding(topic="waiting", text=text, fine=False, do="oomguard swap status shows who is swapped out")


def _kills(memory: MemoryFacts) -> Finding:
    if memory.oom_kills is None:
        return Finding(topic="kills", text="this kernel does not count them (Linux 4.13 does)")
    if memory.oom_kills == 0:
        return Finding(topic="kills", text="the kernel has killed nothing for memory since boot")
    text = f"the kernel has killed {_count(memory.oom_kills, 'process', 'es')} for memory since boot"
    return Finding(topic="kills", text=text, fine=False, do="oomguard diagnose")


def _tmpfs(memory: MemoryFacts) -> list[Finding]:
    found = []
    for folder in memory.tmpfs:
        used = f"{format_size(folder.used)} of {format_size(folder.size)} used"
        if folder.mount_point == _SHM and folder.size < _SMALL_SHM:
            found.append(
                Finding(
                    topic=_SHM,
                    text=f"{format_size(folder.size)}: workers that share arrays end with a bus error when it is full",
                    fine=False,
                    do="docker run --shm-size 2g ..., or sudo mount -o remount,size=50% /dev/shm",
                )
            )
        elif folder.mount_point != _SHM:
            found.append(
                Finding(
                    topic=folder.mount_point,
                    text=f"its files are memory ({used})",
                    fine=False,
                    do="export TMPDIR=/var/tmp",
                )
            )
    return found


def _count(number: int, word: str, plural: str = "s") -> str:
    return f"{number:,} {word}{'' if number == 1 else plural}"
