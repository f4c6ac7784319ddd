"""What a machine's memory, swap and overcommit mean for a big job, one line each.

Source: Linux Documentation/mm/overcommit-accounting.rst, accounting/psi.rst, admin-guide/mm/zswap.rst.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.machine_report.model import Finding
from oomguard.text import as_root, shell_word
from oomguard.units import GIB, MIB, format_size

if TYPE_CHECKING:
    from oomguard.machine_report.model import MemoryFacts

_LITTLE_LEFT = 0.1  # of the memory
_MOSTLY_USED = 0.8  # of the swap, of the commit limit
_PRESSURE = 0.1  # of the last minute
_SHM = "/dev/shm"  # noqa: S108 - checked, not used
_SMALL_SHM = 256 * MIB
_ZSWAP_ON = "echo Y | sudo tee /sys/module/zswap/parameters/enabled"


def memory_findings(memory: MemoryFacts) -> list[Finding]:
    """Give a finding for each: memory, swap, compression, overcommit, pressure, kills, folders in memory."""
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
        return Finding(
            topic="memory", text="unknown: /proc/meminfo cannot be read", fine=False, do="sudo mount -t proc proc /proc"
        )
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
            text="none: a job that needs more memory than the machine has is killed",
            fine=False,
            do=as_root(f"swap --size {suggested}G"),
        )
    text = f"{format_size(size)} in {_count(len(memory.areas), 'area')}, {format_size(used)} used"
    if used <= size * _MOSTLY_USED:
        return Finding(topic="swap", text=text)
    return Finding(topic="swap", text=f"{text}: nearly full", fine=False, do="oomguard swap status")


def _compression(memory: MemoryFacts) -> Finding:
    zram = [area for area in memory.areas if area.is_zram]
    disks = [area for area in memory.areas if not area.is_zram]
    held = "".join(
        f"; {each.name} stores {format_size(each.holds)} in {format_size(each.takes)}" for each in memory.compressed
    )
    if zram and disks and max(area.priority for area in zram) > max(area.priority for area in disks):
        return Finding(
            topic="zram",
            text=f"is filled before the disk, which then gets the pages that are needed soonest{held}",
            fine=False,
            do=as_root(f"swap remove {shell_word(zram[0].path)}"),
        )
    if zram:
        return Finding(topic="zram", text=f"swap is compressed memory{held}")
    if memory.zswap is None:
        return Finding(topic="zswap", text="not in this kernel")
    if not memory.zswap and disks:
        return Finding(topic="zswap", text="off: pages are written to the disk uncompressed", fine=False, do=_ZSWAP_ON)
    return Finding(topic="zswap", text=f"on{held}" if memory.zswap else "off; it is of no use without swap")


def _overcommit(memory: MemoryFacts) -> Finding:
    match memory.overcommit:
        case 2:
            committed, limit = memory.committed or 0, memory.commit_limit or 0
            text = f"strict: malloc fails beyond {format_size(limit)}, of which {format_size(committed)} is committed"
            near = committed > limit * _MOSTLY_USED
            return Finding(
                topic="overcommit",
                text=f"{text}; fork and large mmap calls can fail although memory is free" if near else text,
                fine=not near,
                do="sudo sysctl vm.overcommit_memory=0" if near else None,
            )
        case 1:
            return Finding(topic="overcommit", text="always: malloc never fails; the kernel kills when memory runs out")
        case 0:
            return Finding(
                topic="overcommit",
                text="heuristic: malloc succeeds unless one call asks for more than all memory and swap; "
                "the kernel kills when memory runs out",
            )
    return Finding(topic="overcommit", text="unknown: vm.overcommit_memory cannot be read")


def _pressure(memory: MemoryFacts) -> Finding:
    if memory.pressure is None:
        return Finding(
            topic="pressure",
            text="this kernel does not measure how long tasks wait for memory (PSI: boot with psi=1)",
            fine=False,
        )
    share = memory.pressure.some_60s
    text = f"some task was waiting for memory for {100 * share:.0f}% of the last minute (PSI)"
    if share < _PRESSURE:
        return Finding(topic="pressure", text=text)
    return Finding(topic="pressure", text=text, fine=False, do="oomguard swap status")


def _kills(memory: MemoryFacts) -> Finding:
    if memory.oom_kills is None:
        return Finding(topic="kills", text="unknown: kernels before Linux 4.13 do not count them")
    if memory.oom_kills == 0:
        return Finding(topic="kills", text="none by the kernel for lack of memory since boot")
    text = f"{_count(memory.oom_kills, 'process', 'es')} killed by the kernel for lack of memory since boot"
    return Finding(topic="kills", text=text, fine=False, do="oomguard diagnose")


def _tmpfs(memory: MemoryFacts) -> list[Finding]:
    found = []
    for folder in memory.tmpfs:
        used = f"{format_size(folder.used)} of {format_size(folder.size)} used"
        if folder.mount_point == _SHM and folder.size < _SMALL_SHM:
            found.append(
                Finding(
                    topic=_SHM,
                    text=f"{format_size(folder.size)}; workers that share arrays die of a bus error when it is full",
                    fine=False,
                    do="sudo mount -o remount,size=50% /dev/shm  # of a container: docker run --shm-size 2g ...",
                )
            )
        elif folder.mount_point != _SHM:
            found.append(
                Finding(
                    topic=folder.mount_point,
                    text=f"files here are kept in memory ({used})",
                    fine=False,
                    do="export TMPDIR=/var/tmp",
                )
            )
    return found


def _count(number: int, word: str, plural: str = "s") -> str:
    return f"{number:,} {word}{'' if number == 1 else plural}"
