"""Operating systems and their services that end processes, or tell of it. One entry for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.killers.base import Killer, fact, system, wording
from oomguard.diagnosis.model import Advice
from oomguard.text import as_root

if TYPE_CHECKING:
    from oomguard.formats.kernel_log import OtherKill


def _advise_oomd(_kill: OtherKill) -> tuple[Advice, ...]:
    return (Advice(text="or change its rules for this cgroup", command="sudoedit /etc/oomd.json"),)


_DAEMON = (
    r"Kill(?:ing)? '(?P<name>.{1,64}?)' \((?P<pid>[0-9]{1,10})\), uid [0-9]{1,10}, (?P<reason>oom_(?:score_)?adj -?[0-9]{1,5})"
    r"(?: to free (?P<size>[0-9]{1,12})(?P<unit>kB) rss)?(?:, [0-9]+kB swap)?(?:.{0,40}?reason: (?P<said>.{0,200}))?"
)


def _advise_lmkd(_kill: OtherKill) -> tuple[Advice, ...]:
    return (Advice(text="close other apps, or make this one smaller: Android keeps what is in front"),)


SYSTEMS: tuple[Killer, ...] = (
    # Source: facebookincubator/oomd plugins/BaseKillPlugin.cpp.
    Killer(
        ident="oomd",
        what="oomd",
        habit="it ends cgroups before memory runs out",
        early=True,
        identifiers=("oomd",),
        comm="oomd",
        in_logs=True,
        wordings=(
            wording(
                r"oomd kill: (?:[0-9.]+ ){3}(?P<cgroup>\S{1,1000}) (?P<size>[0-9]{1,20})(?P<unit>) (?P<reason>.{0,300})",
                "oomd kill: [0-9]",
                "oomd kill: 20.37 11.04 3.02 workload.slice/a.service 19562496 ruleset:[high memory pressure]",
            ),
            wording(
                r"Trying to kill (?:/sys/fs/cgroup)?(?P<cgroup>/\S{1,1000})",
                "Trying to kill /",
                "Trying to kill /sys/fs/cgroup/workload.slice/a.service",
            ),
            wording(
                r"Killed (?P<count>[1-9][0-9]{0,8}): (?P<pid>[0-9]{1,10})\((?P<name>[^)]{1,48})\)",
                r"Killed [1-9][0-9]*: [0-9]",
                "Killed 1: 4711(prep)",
            ),
            wording(
                r"Killed (?P<count>[1-9][0-9]{0,8}): (?P<pid>[0-9]{1,10})\b",
                r"Killed [1-9][0-9]*: [0-9]",
                "Nov 22 21:42:09 guest oomd[172]: Killed 1: 4711",
                own_log=True,
            ),
        ),
        advise=_advise_oomd,
    ),
    # Source: system/memory/lmkd/lmkd.cpp; the kernel's drivers/staging/android/lowmemorykiller.c.
    Killer(
        ident="lmkd",
        what="Android's low memory killer",
        in_logs=True,
        linux=False,
        wordings=(
            wording(
                _DAEMON,
                "Kill(?:ing)? '",
                "10-24 14:24:26.342   710   710 I lowmemorykiller: Kill 'com.x.y' (17933), uid 10446, oom_score_adj 905 to free 140528kB rss, 37404kB swap; reason: device is not responding",
            ),
            wording(
                r"(?:lowmemorykiller: )?Killing '(?P<name>.{1,64}?)' \((?P<pid>[0-9]{1,10})\)(?: \(tgid [0-9]+\))?, (?P<reason>adj -?[0-9]{1,5}),"
                r"(?:\s*to free (?P<size>[0-9]{1,12})(?P<unit>kB))?",
                "Killing '",
                "lowmemorykiller: Killing 'com.x.y' (17933), adj 1000, to free 140528kB on behalf of 'kswapd0' (71) because cache 61000kB is below limit 61440kB for oom_score_adj 906",
            ),
        ),
        advise=_advise_lmkd,
    ),
    system(
        "macos",
        "macOS (jetsam), because memory and swap ran out",
        wording(
            r"(?:[0-9][^#'\"]{0,120}?kernel: )?(?:\([^)]{1,60}\) )?(?P<reason>(?:memorystatus: |low swap: )killing (?:largest compressed process|top process|largest process|idle process|due to .{1,40}?))(?: with pid)?,? ?(?:(?P<pid>[0-9]{1,10}) [\[(](?P<name>[^\])]{1,64})[\])]|(?P<name2>\S{1,64}) \[(?P<pid2>[0-9]{1,10})\])",
            "killing (?:largest|top|idle|due to)",
            "low swap: killing largest compressed process with pid 4123 (python3.11) and size 24576 MB",
        ),
        wording(
            r"(?:[0-9][^#'\"]{0,120}?kernel: )?(?:\([^)]{1,60}\) )?memorystatus: killing_(?P<reason>\w{1,60}) (?:process |pid )?(?P<pid>[0-9]{1,10}) \[(?P<name>[^\]]{1,64})\]",
            "memorystatus: killing_",
            "memorystatus: killing_highwater_process pid 4123 [python3.11] (highwater 100) 1234KB",
        ),
        wording(
            r"(?:exited due to SIGKILL[,| ]+(?:sent by \S{1,60} )?)?(?P<reason>JETSAM_REASON_MEMORY_\w{1,40})",
            "JETSAM_REASON_MEMORY_",
            "exited due to SIGKILL, JETSAM_REASON_MEMORY_PERPROCESSLIMIT",
        ),
        wording(
            r"(?:[0-9][^#\'\"]{0,120}?kernel(?:\[[0-9]{1,10}\])?: )?(?:process )?(?P<name>[^\s\[\]]{1,64})\s?\[(?P<pid>[0-9]{1,10})\] (?P<reason>exceeded mem limit: \w{1,20} [0-9]{1,9} MB \(fatal\))",
            "exceeded mem limit: ",
            "python3[4711] exceeded mem limit: ActiveHard 6144 MB (fatal)",
        ),
        why="memory and swap ran out",
        linux=False,
        do=(
            ("see what holds memory, in Activity Monitor or", "memory_pressure; top -o mem -l 1 | head -20"),
            ("read its report", "ls -t /Library/Logs/DiagnosticReports/JetsamEvent-*.ips | head -1"),
        ),
    ),
    system(
        "freebsd",
        "the FreeBSD kernel, because memory ran out",
        wording(
            r"(?:kernel: )?pid (?P<pid>[0-9]{1,10}) \((?P<name>.{1,64}?)\),(?: jid [0-9]+,)? uid [0-9]+,? was killed: (?P<reason>failed to reclaim memory|out of swap space|a thread waited too long to allocate a page)",
            r"was killed: (?:failed to reclaim|out of swap|a thread waited)",
            "pid 4123 (python3.11), jid 0, uid 1001, was killed: failed to reclaim memory",
        ),
        linux=False,
        do=(
            ("or add swap, on FreeBSD", "swapctl -l; truncate -s 8g /usr/swap0 && chmod 0600 /usr/swap0"),
            ("or protect the process, on FreeBSD", "protect -p {pid}"),
        ),
    ),
    system(
        "systemd",
        "the Linux kernel, out of memory (as systemd reports for its unit)",
        wording(
            r"Active: failed \((?P<reason>Result: oom-kill)\)",
            r"Result: oom-kill\)",
            "     Active: failed (Result: oom-kill) since Sun 2026-03-01 10:00:00 UTC; 5min ago",
        ),
        wording(r"(?P<reason>Result=oom-kill)\s*$", "Result=oom-kill", "Result=oom-kill"),
        killer="kernel",
        why="a process of the unit was killed for lack of memory, at the unit's limit or the machine's: the kernel log shows which",
        facts=(
            fact("unit", r"^\W{0,6}\s*([\w@.\\:-]{1,200}\.(?:service|scope|slice))(?: - |$)", "before"),
            fact("unit", r"^Id=(\S{1,200})$"),
            fact("pid_inside", r"Main PID: ([0-9]{1,10})"),
            fact("finished", r"oom-kill\) since ([^;]{5,60});"),
            fact("limit", r"Memory: .{0,80}?\(max: ([0-9.]+[KMGT])"),
            fact("used", r"(?:Mem peak|Memory: .{0,80}?peak): ([0-9.]+[KMGT])"),
        ),
        do=(
            ("see its limit and its peak", "systemctl show {unit} -p Result,MemoryMax,MemoryPeak,OOMPolicy"),
            ("read the kernel's report", "journalctl -k | oomguard diagnose -"),
        ),
    ),
    system(
        "memory.events",
        "the Linux kernel, out of memory (by its counter oom_kill)",
        wording(
            r"oom_kill (?P<count>[1-9][0-9]{0,9})\s*$",
            "oom_kill [1-9]",
            "oom_kill 2",
        ),
        killer="kernel",
        why="the kernel counts the processes that it killed in that cgroup (in /proc/vmstat: on the whole machine)",
        facts=(
            fact("limit_hits", r"^(?:max|oom) ([0-9]+)$"),
            fact("limit", r"^(?:memory\.max|limit_in_bytes)[:= ]+([0-9]{5,16})$"),
        ),
        do=(("read the kernel's log, which names what died and why", as_root("diagnose")),),
    ),
)
