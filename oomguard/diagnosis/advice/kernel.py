"""What to do about a kill, tied to its measured cause: the next command, with the numbers filled in."""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from oomguard.diagnosis.advice.cgroup import advise_memcg
from oomguard.diagnosis.advice.common import (
    biggest_group,
    ceiling,
    fewer,
    job_of,
    keep_the_log,
    shmem_advice,
    size_argument,
)
from oomguard.diagnosis.causes.machine import swap_in_memory
from oomguard.diagnosis.model import Advice
from oomguard.units import GIB, format_size

if TYPE_CHECKING:
    from oomguard.diagnosis.model import KillCause
    from oomguard.formats.kernel_log import OomEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspectScript:
    """The user's program, and the line of it that holds most of its input, where that could be read."""

    path: str
    input_file: str | None = None
    line: int | None = None
    code: str = ""
    held_per_byte: float = 0.0  # bytes of memory for each byte of input
    text: str = ""  # the program itself, where it could be read


def advise(event: OomEvent, cause: KillCause, *, script: SuspectScript | None = None) -> list[Advice]:
    """Give what to do, the most useful first: three things at most, for somebody who wants the job done."""
    makers = {
        "manual": _manual,
        "memcg": advise_memcg,
        "cpuset": _bound,
        "mempolicy": _bound,
        "fragmentation": _fragmented,
        "low_zone": _low_zone,
        "false_alarm": _false_alarm,
        "exhaustion": _exhausted,
        "unknown": _unknown,
    }
    advice = makers[cause.kind](event, cause)
    if (
        script is not None
        and cause.filler in ("anon", "shmem", None)
        and cause.kind in ("memcg", "exhaustion", "unknown")
    ):
        advice.insert(0, _check_script(script))
    if event.allocating_task:
        advice.insert(0, _ALLOCATING)
    if event.kernel and "microsoft" in event.kernel.lower() and cause.kind == "exhaustion":
        advice.insert(1, _WSL)
    first = replace(advice[0], text=advice[0].text.removeprefix("or "))
    return [with_script(step, script) for step in (first, *advice[1:4])]


_ALLOCATING = Advice(
    text="make the kernel kill the process that holds the most, as by default, not the one that happens to ask",
    command="sudo sysctl vm.oom_kill_allocating_task=0",
)
_WSL = Advice(
    text=(
        "or give WSL more: it takes half of the RAM unless %UserProfile%\\.wslconfig on Windows says, for example, "
        "[wsl2] and memory=24GB"
    ),
    command="wsl --shutdown    # in Windows, after the change",
)


def with_script(step: Advice, script: SuspectScript | None) -> Advice:
    """Name the script that is known in commands to paste."""
    if script is None or step.command is None:
        return step
    run = f"python {shlex.quote(script.path)}"
    command = re.sub(r"python SCRIPT|(?<=-- )COMMAND$", lambda _: run, step.command)
    return replace(step, command=command)


def _check_script(script: SuspectScript) -> Advice:
    command = f"oomguard check {shlex.quote(script.path)}"
    if script.input_file is not None:
        command += f" --input {shlex.quote(script.input_file)}"
    text = "see which line of your script holds the memory"
    if script.line is not None:
        text = (
            f"line {script.line} of your script takes {script.held_per_byte:.1f} bytes for each byte of its input: "
            f"{script.code}"
        )
    return Advice(text=text, command=command)


def _manual(_event: OomEvent, _cause: KillCause) -> list[Advice]:
    return [Advice(text="nothing: start the program again. The shell history of root may show who asked for it.")]


def _exhausted(event: OomEvent, cause: KillCause) -> list[Advice]:
    special = {
        "slab": _slab,
        "stacks": _slab,
        "pagetables": _slab,
        "unaccounted": _unlisted,
        "hugetlb": _huge,
        "shmem": shmem_advice,
    }
    if event.tasks is not None and event.tasks.killable == 0 and not event.victims:
        return [Advice(text="give the machine more memory, or start fewer services: the system alone did not fit")]
    if cause.filler in special:
        return special[cause.filler](event, cause)
    if cause.filler in ("dirty", "cache"):
        return [
            Advice(text="let data reach the disk earlier", command="sudo sysctl vm.dirty_bytes=268435456"),
            ceiling(event, cause),
        ]
    total = cause.accounting.total if cause.accounting else None
    found = [ceiling(event, cause)]
    if less := fewer(biggest_group(event), total):
        found.insert(0, less)
    if swap := _swap(event, total):
        found.append(swap)
    if (
        swap_in_memory(event) == "zswap"
        and cause.accounting
        and cause.accounting.unaccounted > 0.12 * cause.accounting.total
    ):
        found.append(_unlisted(event, cause)[1])
    if cause.accounting is None:
        found.append(keep_the_log())
    return found


def _swap(event: OomEvent, total: int | None) -> Advice | None:
    mem_info, group = event.mem_info, biggest_group(event)
    if mem_info is None or mem_info.swap_total is None or total is None:
        return None
    if mem_info.swap_total and mem_info.swap_free is not None and mem_info.swap_free > mem_info.swap_total // 2:
        return None  # there was swap, and it was not what was missing
    wanted = (group.rss + (group.swap or 0) if group else total) * 1.5 - total
    size = max(wanted, total / 2)
    what = "add swap" if mem_info.swap_total == 0 else "add more swap"
    return Advice(
        text=(
            f"or {what}, if the job must run on this machine (slower; the size is an estimate: the log does not "
            "say how much more it needed)"
        ),
        command=f"oomguard swap --size {size_argument(math.ceil(size / GIB) * GIB if size > GIB else size)}",
    )


def _slab(event: OomEvent, _cause: KillCause) -> list[Advice]:
    first = Advice(
        text="your program is not the cause; see which kernel objects grow", command="sudo slabtop -o -s c | head -20"
    )
    if event.top_allocations:
        name, size = event.top_allocations[0]
        first = Advice(
            text="your program is not the cause: the largest user of kernel memory was "
            f"{name} with {format_size(size)}",
            command="sudo slabtop -o -s c | head -20",
        )
    return [
        first,
        Advice(text="drop the caches", command="echo 2 | sudo tee /proc/sys/vm/drop_caches"),
        Advice(
            text="if it grows again, report it to whoever provides the kernel, with this output",
            command="oomguard diagnose --html oom.html",
        ),
    ]


def _unlisted(event: OomEvent, _cause: KillCause) -> list[Advice]:
    mem_info = event.mem_info
    if swap_in_memory(event) == "zswap":
        look = Advice(
            text="let zswap keep less in memory (it has 20%), or switch it off",
            command="echo 5 | sudo tee /sys/module/zswap/parameters/max_pool_percent",
        )
    elif (
        mem_info
        and mem_info.swap_total
        and mem_info.swap_free is not None
        and mem_info.swap_free < mem_info.swap_total // 2
        and swap_in_memory(event) != "disk"
    ):
        look = Advice(text="see whether swap is in memory itself (zram, zswap)", command="zramctl; swapon --show")
    else:
        look = Advice(
            text="see whether a driver holds it or, if this is a virtual machine, whether its host took memory away",
            command="grep -i balloon /proc/vmstat; sudo dmesg | grep -iE 'balloon|nvidia|amdgpu|leak'",
        )
    return [
        Advice(text="no program of yours is the cause: using less memory would only have delayed this"),
        look,
        Advice(
            text="restart the machine to get the memory back; if it shrinks again, report it with this output",
            command="oomguard diagnose --html oom.html",
        ),
    ]


def _huge(event: OomEvent, cause: KillCause) -> list[Advice]:
    free = event.mem_info.hugetlb_free if event.mem_info else None
    unused = f" ({format_size(free)} of them unused)" if free else ""
    return [
        Advice(
            text=f"give back huge pages that were reserved for others{unused}", command="sudo sysctl vm.nr_hugepages=0"
        ),
        ceiling(event, cause),
    ]


def _bound(event: OomEvent, _cause: KillCause) -> list[Advice]:
    return [
        Advice(text="let it use the memory of all nodes", command=f"numactl --interleave=all {job_of(event)}"),
        Advice(
            text="see who sets the binding: numactl, a cpuset, Slurm's or Kubernetes' CPU manager",
            command="numactl --hardware; grep Mems_allowed_list /proc/self/status",
        ),
    ]


def _fragmented(_event: OomEvent, _cause: KillCause) -> list[Advice]:
    return [
        Advice(text="compact the free memory now", command="echo 1 | sudo tee /proc/sys/vm/compact_memory"),
        Advice(text="keep more free for such requests", command="sudo sysctl vm.min_free_kbytes=131072"),
        Advice(
            text="more memory or swap would not help much; if it comes back, report it with this output",
            command="oomguard diagnose --html oom.html",
        ),
    ]


def _low_zone(_event: OomEvent, _cause: KillCause) -> list[Advice]:
    return [
        Advice(
            text=(
                "use a 64-bit kernel: on a 32-bit one the kernel itself cannot use more than about 900 "
                "MB, whatever is installed"
            )
        ),
        Advice(text="more memory or swap will not help; fewer processes and threads will"),
    ]


def _false_alarm(event: OomEvent, _cause: KillCause) -> list[Advice]:
    found = [
        Advice(text="update the kernel: newer ones (5.16 and later) no longer mistake such a fault for lack of memory")
    ]
    if event.slab_refused and event.slab_memcg:
        found.insert(
            0,
            Advice(
                text=(
                    "remove the container's limit for kernel memory (docker run --kernel-memory, Kubernetes' "
                    "kmem accounting)"
                )
            ),
        )
    return found


def _unknown(event: OomEvent, cause: KillCause) -> list[Advice]:
    return [ceiling(event, cause), keep_the_log()]
