"""The single lines of an OOM report that each prove something by themselves.

Source: Linux mm/oom_kill.c, dump_header(), dump_oom_victim(), __oom_kill_process(), oom_reap_task(),
check_panic_on_oom(), out_of_memory(); drivers/tty/sysrq.c. The names of processes and cgroups are printed as they
are: they may hold spaces, commas, brackets, and words of these lines.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from oomguard.formats.kernel_log.log_lines import Message
    from oomguard.formats.kernel_log.records import LogTime


# What begins as a regular expression does is a rule that looks for the line, unless a mask in numbers follows: a process
# may be called C:\windows\x. A quote behind the words is of code.
INVOKED = re.compile(
    r"(?!\s{0,40}\S{0,40}(?:\\[SswWdD]|\.[*+])(?!.{0,400}? invoked oom-killer:\s?gfp_mask=0x[0-9a-f]))(?P<name>.{0,400}?) invoked oom-killer(?P<more>:(?!\s?['\"]).*|\s*$)",
    re.DOTALL,
)
GFP_MASK = re.compile(r"gfp_mask=0x(?P<mask>[0-9a-f]{1,16})(?:\((?P<flags>[^)]{0,2000})\))?")
ORDER = re.compile(r"order=(?P<order>-?[0-9]{1,3})\b")
NODEMASK = re.compile(r"nodemask=(?P<nodes>\(null\)|[0-9][0-9,-]{0,2000})(?:,|$)")
CPUSET = re.compile(r".{1,48} cpuset=(?P<cpuset>.{0,500}) mems_allowed=(?P<nodes>[0-9][0-9,-]{0,500})", re.DOTALL)
CPU = re.compile(
    r"(?:CPU: [0-9]{1,5} (?:UID: [0-9]{1,10} )?PID: (?P<pid>[0-9]{1,10}) Comm: |Pid: (?P<old>[0-9]{1,10}), comm: )(?P<name>.{1,48}?) "
    r"(?:Kdump: loaded )?(?P<taint>Not tainted|Tainted: [A-Z \[\]=]{1,200}?)\s+(?P<kernel>[0-9]{1,3}\.[0-9]\S{0,200})"
)
SYSRQ = re.compile(r"[Ss]ys[Rr]q ?: (?P<what>[Mm]anual OOM execution)")
SYSRQ_IGNORED = re.compile(r"(?:sysrq: )?OOM request ignored")
HARDWARE = re.compile(r"Hardware name: (?P<name>.{1,200})")
FRAME = re.compile(
    r"\s*(?:\[<?[0-9a-f]{4,16}>?\]\s?){0,2}(?P<unsure>\? )?\(?(?P<name>[A-Za-z_][\w.]{1,120})"
    r"(?:\+0x[0-9a-f]+/0x[0-9a-f]+| from | \([\w./-]{1,120}\.[chS]:[0-9]+)"
)

CONSTRAINT = re.compile(r"oom-kill:\s?constraint=(?P<constraint>[A-Z][A-Z0-9_]{0,63})(?P<more>,.*|$)", re.DOTALL)
MEMCGS = re.compile(r",oom_memcg=(?P<oom>/.*),task_memcg=(?P<task>/.*?)(?:,task=|$)", re.DOTALL)
TASK_MEMCG = re.compile(r",(?:global_oom,)?task_memcg=(?P<task>/.*),task=", re.DOTALL)
TASK = re.compile(r",task=(?P<name>.{0,48}),pid=(?P<pid>[0-9]{1,10})(?P<rest>,uid=(?P<uid>[0-9]{1,10}))?", re.DOTALL)
MEMS = re.compile(r",mems_allowed=(?P<nodes>[0-9][0-9,-]{0,500})(?=,[a-z]|$)")

# Up to the last bracket that the text after a name can follow: a name may be "(sd-pam)". 48 characters leave room
# for what bytes that are no UTF-8 become of the 15 that a name has.
KILLED = re.compile(
    r"(?P<head>.{0,120}?)\bKilled process (?P<pid>[0-9]{1,10})(?:, UID (?P<uid>[0-9]{1,10}),)? "
    r"\((?P<name>(?:(?!Killed process ).){0,48})\)(?=,? ?(?:UID|t ?o ?t ?a ?l ?- ?v ?m|vsz|score)| t(?:o(?:t(?:a(?:l(?:-v?)?)?)?)?)?\s*$|[,.]?\s*$|[,.]\s)",
    re.DOTALL,
)
KILLED_CUT = re.compile(
    r"(?P<head>.{0,120}?)\bKilled process (?P<pid>[0-9]{1,10})(?P<uid>) \((?P<name>[^)]{1,15})$", re.DOTALL
)
# A kill line that breaks off before it has said whom: of a number at its end, figures may be missing.
KILL_CUT = re.compile(
    r"(?P<head>(?:Memory cgroup out|Out) of [Mm]emory(?: \(oom_kill_allocating_task\))?: )Kill(?:ed?)?(?: pr?o?c?e?s?s?(?: [0-9]{1,10})?(?: \()?)?"
)
# The kernel's own words before "Killed process"; anything else quotes it.
OWN_HEAD = re.compile(r"(?:Memory cgroup o|O)ut of [Mm]emory(?: \(oom_kill_allocating_task\))?: |")
# Words of a sentence before it: a text about kills, not a log.
PROSE = re.compile(r"\b[A-Za-z]{1,20}(?:,? [a-z]{1,20}){2}\b")
OWN_WORDS = re.compile(r"(?:Memory cgroup o|[Oo])ut of [Mm]emory")
KILL = re.compile(
    r"(?P<head>.{0,120}?)\b[Kk]ill process (?P<pid>[0-9]{1,10}) \((?P<name>.{0,48}?)\)\s+score (?P<score>[0-9]{1,10})",
    re.DOTALL,
)
SIZES = {
    "total_vm": re.compile(r"(?:total-vm|vsz):([0-9]{1,20})kB"),
    "anon_rss": re.compile(r"anon-rss:([0-9]{1,20})kB"),
    "file_rss": re.compile(r"file-rss:([0-9]{1,20})kB"),
    "shmem_rss": re.compile(r"shmem-rss:([0-9]{1,20})kB"),
    "pgtables": re.compile(r"pgtables:([0-9]{1,20})kB"),
}
UID = re.compile(r",? UID:? ?(?P<uid>[0-9]{1,10})(?=,| pgtables)")
SCORE_ADJ = re.compile(r"oom_score_adj:(?P<adj>-?[0-9]{1,4})\b")
REAPED = re.compile(
    r"oom_reaper: reaped process :?(?P<pid>[0-9]{1,10}) \((?P<name>.{0,48})\), now anon-rss:(?P<more>.*)", re.DOTALL
)
UNREAPED = re.compile(r"oom_reaper: unable to reap pid:(?P<pid>[0-9]{1,10}) \((?P<name>.{0,48})\)")
GROUP = re.compile(r"Tasks in (?P<memcg>/.*) are going to be killed due to memory\.oom\.group set")

NO_VICTIM = re.compile(
    r"(?:Out of memory and no killable processes|Memory cgroup out of memory and no killable)", re.IGNORECASE
)
PANIC = re.compile(
    r"Kernel panic - not syncing: ?(?P<why>Out of memory: .{0,200}|[Oo]ut of memory and no killable processes|out of memory\. .{0,200}|System is deadlocked on memory|Attempted to kill init!.{0,80})"
)
SWAP_NOTE = re.compile(
    r"(?:Adding [0-9]{1,15}k swap on (?P<device>\S{1,255}?)\.(?:\s|$)|zram: Added device|zswap: loaded using pool)"
)
SUPPRESSED = re.compile(r"(?:oom_kill_process|dump_header): (?P<count>[0-9]{1,10}) callbacks suppressed")
LOST = re.compile(
    r"(?:imuxsock(?:\[pid: [0-9]{1,10}\])? (?:lost|begins to drop)|(?<![0-9])[0-9]{1,10} printk messages dropped|printk: [0-9]{1,10} messages suppressed"
    r"|Missed [0-9]{1,10} kernel messages|oomguard passed over the middle of this report|messages? (?:lost|dropped) due to rate-limiting|Suppressed [0-9]{1,10} messages from)"
)


def tells_of_loss(text: str) -> bool:
    """Whether lines are missing there. The search is dear, and nearly no line has one of its words."""
    return ("essage" in text or "imuxsock" in text or "passed over" in text) and LOST.search(text) is not None


def begins_other_report(text: str) -> bool:
    """Whether a Mem-Info block follows that has nothing to do with the OOM killer."""
    return ("alloc" in text or "Show " in text) and OTHER_REPORT.search(text) is not None


SLAB_REFUSED = re.compile(
    r"SLUB: Unable to allocate memory on node|SLAB: Unable to allocate memory|slab_out_of_memory: "
)
# Per-cgroup caches (up to 5.8) are named "cache(ID:CGROUP)".
SLAB_CACHE = re.compile(r"\s*cache: [\w-]{1,64}\([0-9]{1,10}:(?P<memcg>[^)]{1,200})\), object size")

# What begins a Mem-Info block that has nothing to do with the OOM killer.
OTHER_REPORT = re.compile(
    r"page allocation (?:failure|stalls)|alloc failure: order|vmalloc error|[Ss]ys[Rr]q ?: Show [Mm]emory|SysRq : Show Regs|warn_alloc\+0x"
    r"|allocation failed: out of vmalloc"
)
UNIT_KILLED = re.compile(
    r"(?P<unit>\S{1,255}\.(?:service|scope|slice|socket|mount)): (?:A process of this unit has been killed by the OOM killer|The kernel OOM killer killed some processes in this unit)"
)
UNIT_FAILED = re.compile(r"(?P<unit>\S{1,255}\.(?:service|scope|slice)): Failed with result '?oom-kill'?")
SLAB_ROW = re.compile(r"\s?([\w.:()\[\]-]{1,64})\s+([0-9]{1,12})KB\s+([0-9]{1,12})KB\s*")
SLAB_BEGIN = re.compile(r"Unreclaimable slab info:")
ALLOCATION = re.compile(
    r"\s*([0-9]{1,20}(?:\.[0-9]{1,3})?)(?: ([KMGT]?i?B))?\s+[0-9]{1,20} (\S{1,200}(?: \[\w+\])? func:\S{1,120})"
)
ALLOCATIONS_BEGIN = re.compile(r"Memory allocations:")


# Messages put in the order in which they were written: web consoles and `journalctl -r` show the newest first.

_PEEKED = 1000  # messages that decide
_HELD = 20_000  # of a log that is newest first: more are turned part by part
_FEW = 3  # steps between different times that tell a direction
_NEAR = 20  # messages between the two lines that the kernel prints one after the other


def oldest_first(messages: Iterable[Message]) -> Iterator[Message]:
    """Give the messages as they are, or turned round. Holds _PEEKED of them, or _HELD where they are to be turned."""
    given = iter(messages)
    first = list(islice(given, _PEEKED))
    if not _is_newest_first(first):
        yield from first
        yield from given
        return
    held = [*first, *islice(given, _HELD - len(first))]
    while held:
        yield from reversed(held)
        held = list(islice(given, _HELD))


def _is_newest_first(messages: list[Message]) -> bool:
    back = forth = 0
    before: LogTime | None = None
    for message in messages:
        if message.time is None:
            continue
        step = _step(before, message.time) if before else 0
        back, forth = back + (step < 0), forth + (step > 0)
        before = message.time
    if back + forth >= _FEW:
        return back > 3 * forth
    return not forth and _kill_comes_first(messages)


def _step(before: LogTime, after: LogTime) -> float:
    """How much later; 0 where the two cannot be compared."""
    if before.monotonic is not None and after.monotonic is not None:
        return after.monotonic - before.monotonic
    if before.epoch is not None and after.epoch is not None:
        return after.epoch - before.epoch
    same_day = len(before.text) == len(after.text) and before.text[:6] == after.text[:6]
    return (after.text > before.text) - (after.text < before.text) if same_day else 0


def _kill_comes_first(messages: list[Message]) -> bool:
    """All in one second: the kernel writes "oom-kill:" before "Killed process", of the same process."""
    chosen: dict[str, int] = {}
    killed: dict[str, int] = {}
    for place, message in enumerate(messages):
        text = message.text
        if "oom-kill:" in text and (task := TASK.search(text)):
            chosen.setdefault(task["pid"], place)
        elif "Kill" in text and (kill := KILLED.match(text)):
            killed.setdefault(kill["pid"], place)
    steps = [place - killed[pid] for pid, place in chosen.items() if pid in killed and abs(place - killed[pid]) < _NEAR]
    return bool(steps) and all(step > 0 for step in steps)
