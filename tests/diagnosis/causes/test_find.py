"""The decision about reports that were put together for it: each differs from the next in what decides."""

from __future__ import annotations

import pytest

from oomguard.diagnosis.advice.common import size_argument
from oomguard.diagnosis.advice.kernel import SuspectScript, advise
from oomguard.diagnosis.causes.find import find_cause
from oomguard.formats.kernel_log import OomEvent, parse_kernel_log

MIB = 1 << 20
GIB = 1 << 30


def report(
    *, gfp: str = "0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP)", order: int = 0, anon: int = 900_000, file: int = 1000, free: int = 8000,
    zones: str = "", slab: int = 20_000, shmem: int = 0, tail: str = "", more: str = "", swap: tuple[int, int] = (0, 0), dirty: int = 0,
) -> OomEvent:  # fmt: skip
    """A report of a machine with 1,000,000 pages (3.8 GiB), as Linux 6.1 prints it."""
    zones = zones or f"Node 0 Normal free:{free * 4}kB min:40000kB low:50000kB high:60000kB managed:4000000kB\n"
    text = f"""python3 invoked oom-killer: gfp_mask={gfp}, order={order}, oom_score_adj=0
CPU: 0 PID: 7 Comm: python3 Not tainted 6.1.0 #1
{more}Mem-Info:
active_anon:1000 inactive_anon:{anon} isolated_anon:0
 active_file:{file} inactive_file:0 isolated_file:0
 unevictable:0 dirty:{dirty} writeback:0
 slab_reclaimable:100 slab_unreclaimable:{slab}
 mapped:50 shmem:{shmem} pagetables:4000
 free:{free} free_pcp:{free // 8} free_cma:0
{zones}Free swap  = {swap[1]}kB
Total swap = {swap[0]}kB
1000000 pages RAM
0 pages reserved
Tasks state (memory values in pages):
[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name
[      7]  1000     7  1000000   800000  6344704        0             0 python3
[      8]  1000     8     9000     1000    40960        0             0 bash
{tail or "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/,task=python3,pid=7,uid=1000"}
Out of memory: Killed process 7 (python3) total-vm:4000000kB, anon-rss:3200000kB, file-rss:0kB, shmem-rss:0kB, UID:1000 pgtables:6196kB oom_score_adj:0
"""
    (event,) = (found for found in parse_kernel_log(text.split("\n")) if isinstance(found, OomEvent))
    return event


LOW = (
    "DMA free:3000kB min:68kB low:84kB high:100kB managed:15876kB\nlowmem_reserve[]: 0 825 1947 825\n"
    "Normal free:3948kB min:7732kB low:8640kB high:9548kB managed:845576kB\nlowmem_reserve[]: 0 0 8980 0\n"
    "HighMem free:1049496kB min:512kB low:1748kB high:2984kB managed:3138548kB\nlowmem_reserve[]: 0 0 0 0\n"
)
PIECES = "Node 0 Normal free:800000kB min:40000kB low:50000kB high:60000kB managed:4000000kB\nNode 0 Normal: 200000*4kB (UME) {} = 800000kB\n"
TWO_NODES = (
    "Node 0 Normal free:8120kB min:8160kB low:9000kB high:10000kB managed:2000000kB\n"
    "Node 1 Normal free:1900000kB min:8160kB low:9000kB high:10000kB managed:2000000kB\n"
)
CASES = {
    "processes": (report(), "exhaustion", "anon"),
    "slab": (report(anon=50_000, slab=850_000), "exhaustion", "slab"),
    "nothing that is listed": (report(anon=50_000), "exhaustion", "unaccounted"),
    "shared memory": (report(shmem=700_000), "exhaustion", "shmem"),
    "file data not yet on disk": (report(anon=50_000, file=850_000, dirty=800_000), "exhaustion", "dirty"),
    "asked for": (report(order=-1, free=800_000, anon=1000), "manual", None),
    "no mask, much free": (report(gfp="0x0()", free=600_000, anon=300_000, tail="-"), "false_alarm", None),
    "low memory": (report(gfp="0x101cc0(GFP_USER|__GFP_WRITE)", zones=LOW, free=264_000, anon=7000, file=600_000), "low_zone", "kernel"),
    "the same zones, a page for a process": (report(zones=LOW, free=264_000, anon=7000, file=600_000), "unknown", None),
    "only small pieces": (report(gfp="0xcc0(GFP_KERNEL)", order=3, zones=PIECES.format("0*8kB 0*16kB 0*32kB"), free=200_000, anon=700_000), "fragmentation", None),
    "large pieces of CMA": (report(gfp="0xcc0(GFP_KERNEL)", order=3, zones=PIECES.format("9*32kB (C)"), free=200_000, anon=700_000), "fragmentation", None),
    "large pieces": (report(gfp="0xcc0(GFP_KERNEL)", order=3, zones=PIECES.format("9*32kB (UM)"), free=200_000, anon=700_000), "unknown", None),
    "order 1 and simply full": (report(gfp="0x40cc0(GFP_KERNEL|__GFP_COMP)", order=1), "exhaustion", "anon"),
    "one of two nodes, not said": (report(gfp="0x200d2", zones=TWO_NODES, free=477_000, anon=450_000, tail="-"), "mempolicy", "anon"),
}  # fmt: skip


def test_free_is_the_same_number_everywhere() -> None:
    """What CPUs hold back is free too, but the request could not use it."""
    cause = find_cause(report())
    assert cause.accounting is not None
    assert cause.accounting.size_of("free") == cause.accounting.free
    assert cause.accounting.size_of("free_pcp") == cause.accounting.free // 8


@pytest.mark.parametrize("name", CASES)
def test_the_cause(name: str) -> None:
    event, kind, filler = CASES[name]
    cause = find_cause(event)
    assert (cause.kind, cause.filler) == (kind, filler), cause.why
    assert cause.why.endswith(".")
    assert cause.room
    assert advise(event, cause)


def test_what_is_not_listed_is_looked_for_where_the_log_points() -> None:
    assert "zram" in find_cause(report(anon=50_000, swap=(4_000_000, 0))).why
    assert (
        "balloon" in find_cause(report(anon=50_000, more="Hardware name: VMware, Inc. VMware Virtual Platform\n")).why
    )
    assert "leak" in find_cause(report(anon=50_000)).why


def test_the_limit_of_an_ancestor_is_not_the_containers_own() -> None:
    tail = (
        "memory: usage 2097152kB, limit 2097152kB, failcnt 5\nswap: usage 0kB, limit 0kB, failcnt 0\n"
        "Memory cgroup stats for /kubepods.slice:\nanon 2000000000\nfile 0\n"
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,oom_memcg=/kubepods.slice,"
        "task_memcg=/kubepods.slice/kubepods-podb2aa.slice,task=python3,pid=7,uid=1000"
    )
    event = report(tail=tail)
    cause = find_cause(event)
    assert (cause.kind, cause.ancestor, cause.limit) == ("memcg", True, 2 * GIB)
    assert "all pods on this node together" in cause.why
    assert "not the limit of the Guaranteed pod" in cause.why
    assert "allowed no swap" in cause.room
    assert any("administrator" in advice.text for advice in advise(event, cause))


def test_numbers_in_the_advice_come_from_the_report() -> None:
    event = report()
    script = SuspectScript(path="my prepare.py", input_file="train.txt")
    commands = [advice.command or "" for advice in advise(event, find_cause(event), script=script)]
    assert commands[0] == "oomguard check 'my prepare.py' --input train.txt"
    # 85 % of 3.81 GiB without 79 MiB of slab, 257 MiB that is not listed and 4 MiB of bash: 2.96 GiB.
    assert any(command.startswith("oomguard run --max-rss 2.9G -- python 'my prepare.py'") for command in commands), (
        commands
    )
    assert any(command.startswith("oomguard swap --size ") for command in commands)


@pytest.mark.parametrize(("size", "text"), [(12 * GIB, "12G"), (1.55 * GIB, "1.5G"), (900 * MIB, "900M"), (1, "1M")])
def test_a_size_for_a_command(size: float, text: str) -> None:
    assert size_argument(size) == text
