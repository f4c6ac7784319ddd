"""Programs that end processes for lack of memory, by what they write.

Sources: systemd src/oom/oomd-util.c and src/core/unit.c; earlyoom kill.c, 1.0 to 1.8; nohang 0.2; facebookincubator/oomd
plugins/BaseKillPlugin.cpp; Slurm plugins/task/cgroup and cgroup/v1; ray/_private/memory_monitor.py; dask
distributed/worker_memory.py and nanny.py; Kubernetes pkg/kubelet/eviction and oom; containerd; Android lmkd.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from oomguard.formats.kernel_log.records import OtherKill
from oomguard.units import GIB, KIB, MIB

if TYPE_CHECKING:
    from oomguard.formats.kernel_log.log_lines import Message

_UNITS = {"B": 1, "K": KIB, "KiB": KIB, "KB": KIB, "M": MIB, "MiB": MIB, "MB": MIB, "G": GIB, "GiB": GIB, "GB": GIB}
_LINE_CHARACTERS = 600
_NEAR_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class _Words:
    """One wording. "begin" opens a kill that later lines tell of, "detail" adds to one, "kill" is the kill itself."""

    killer: str
    kind: Literal["begin", "detail", "kill"]
    pattern: re.Pattern[str]
    own_log: bool  # too plain to be believed from another program


def _words(killer: str, kind: Literal["begin", "detail", "kill"], pattern: str, *, own_log: bool = False) -> _Words:
    return _Words(killer, kind, re.compile(pattern, re.DOTALL), own_log)


# Groups: pid, name, cgroup, count, size and unit, reason. Matched where a message begins, as others may quote one.
# "Considered N cgroups for killing" and "Path: ..." of systemd-oomd are no kills.
_WORDINGS = (
    _words("systemd-oomd", "kill", r"Killed (?P<cgroup>/.{1,1000}?) due to (?P<reason>memory (?:pressure|used) .{0,300})"),
    _words("systemd-oomd", "kill", r"Marked (?P<cgroup>/.{1,1000}?) for killing(?: due to (?P<reason>.{1,300}))?"),
    _words("systemd-oomd", "kill", r"(?P<cgroup>\S{1,255}): systemd-oomd killed (?:(?P<count>[0-9]{1,9})|some) process"),
    _words("earlyoom", "begin", r"(?P<reason>low memory! at or below SIG(?:TERM|KILL) limits: .{0,200})"),
    _words("earlyoom", "begin", r"(?P<reason>Out of memory! avail: [0-9]+ MiB < min: [0-9]+ MiB)"),
    _words(
        "earlyoom", "kill",
        r"sending SIG(?:TERM|KILL) to process (?P<pid>[0-9]{1,10})(?: uid [0-9]+)? \"(?P<name>.{0,64}?)\": "
        r"(?:badness|oom_score) .{0,100}?VmRSS (?P<size>[0-9]{1,12}) (?P<unit>MiB)",
    ),
    _words("earlyoom", "kill", r"(?:Killing|killing) process (?P<pid>[0-9]{1,10}) \"?(?P<name>[^\s\"].{0,63}?)\"?\s*$", own_log=True),
    _words("nohang", "begin", r"Memory status that requires(?: a)? corrective actions?"),
    _words("nohang", "detail", r"\s*(?P<reason>Mem(?:ory)?Available \[.{1,80}\] <= \S{1,40} \[.{1,60}\])", own_log=True),
    _words("nohang", "detail", r"\s*PID:\s+(?P<pid>[0-9]{1,10}), name: (?P<name>.{1,48}?), state:", own_log=True),
    _words("nohang", "detail", r"\s*Vm, MiB:\s+Size: [0-9]+, RSS: (?P<size>[0-9]{1,12})(?P<unit>)", own_log=True),
    _words("nohang", "detail", r"\s*cgroup_v2: (?P<cgroup>/\S.{0,1000}?)\s*$", own_log=True),
    _words("nohang", "kill", r"Implement(?:ing|ed) a corrective action"),
    _words("nohang", "kill", r"\s*Sending SIG(?:TERM|KILL) to the victim"),
    _words("nohang", "kill", r"\s*\[ OK \] Sending SIG(?:TERM|KILL) to (?P<name>.{1,48}?)(?:: [0-9]+)?\s*$"),
    _words("oomd", "kill", r"oomd kill: (?:[0-9.]+ ){3}(?P<cgroup>\S{1,1000}) (?P<size>[0-9]{1,20})(?P<unit>) (?P<reason>.{0,300})"),
    _words("oomd", "kill", r"(?:\[\S{1,60}\] )?Trying to kill (?:/sys/fs/cgroup)?(?P<cgroup>/\S{1,1000})"),
    _words("oomd", "kill", r"(?:\[BaseKillPlugin\S{1,60}\] )?Killed (?P<count>[0-9]{1,9}): (?P<pid>[0-9]{1,10})(?:\((?P<name>[^)]{1,48})\))?"),
    _words(
        "slurm", "kill",
        r"(?:slurmstepd(?:-\S{1,64})?: )?(?:error: )?(?:\*\*\* )?Detected (?P<count>[0-9]{1,9}) oom[-_]kill(?: or \S+)? event\(?s?\)? in (?P<cgroup>(?:StepId=|step )\S{1,64}?)(?: cgroup)?\.(?:\s|$)",
    ),
    _words("slurm", "kill", r"(?:slurmstepd: )?error: (?P<cgroup>(?:Step|Job) \S{1,64}) (?P<reason>exceeded (?:job )?memory limit.{0,200})"),
    _words("slurm", "kill", r"(?:slurmstepd: )?(?:error: )?(?P<reason>Exceeded (?:job|step) memory limit.{0,200})"),
    _words("slurm", "kill", r"(?:\S{1,64}: )?error: \S{1,64}: task [0-9,\[\]-]{1,64}: (?P<reason>Out Of Memory)"),
    _words("ray", "begin", r".{0,200}?(?P<reason>Task was killed due to the node running low on memory|ray\.exceptions\.OutOfMemoryError)"),
    _words(
        "ray", "kill",
        r".{0,200}?Memory on the node .{0,600}?pid=(?P<pid>[0-9]{1,10}), memory used=(?P<size>[0-9.]{1,12})(?P<unit>[KMG]?B)\) was running was (?P<reason>.{1,120}?)(?:\. Ray killed|$)",
    ),
    _words("ray", "kill", r".{0,300}?(?P<reason>[0-9]+ Workers \(tasks / actors\) killed due to memory pressure \(OOM\))"),
    _words(
        "dask", "kill",
        r".{0,160}?Worker (?P<name>\S{1,200}) (?:\(pid[ =](?P<pid>[0-9]{1,10})\) )?exceeded (?P<reason>[0-9]{1,3}% memory budget)[.,] ?(?:Restarting|restarting)",
    ),
    _words("kubelet", "kill", r".{0,300}?(?P<reason>[Tt]he node was low on resource: memory.{0,300})"),
    _words("kubelet", "kill", r".{0,300}?[Ee]viction manager: pod (?P<cgroup>\S{1,300}) (?:is|was) evicted successfully"),
    _words("kubelet", "kill", r".{0,300}?\b(?P<reason>TaskOOM event|SystemOOM|OOMKilling|OOMKilled)\b"),
    _words("lmkd", "kill", r".{0,80}?lowmemorykiller: Kill(?:ing)? '(?P<name>.{1,64}?)' \((?P<pid>[0-9]{1,10})\)(?P<reason>.{0,300})"),
    _words("lmkd", "kill", r"Kill(?:ing)? '(?P<name>.{1,64}?)' \((?P<pid>[0-9]{1,10})\), uid (?P<reason>.{0,300})"),
)  # fmt: skip
_RAY_NAME = re.compile(r"\bname=(?P<name>[^,)]{1,200})")
_HINT = re.compile(r"[Kk]ill|SIG|Marked|emory|avail|OOM|oom|PID|Vm, MiB|cgroup_v2|corrective|oom_")


class OtherKillReader:
    """Puts together the lines that one program writes about one kill."""

    def __init__(self) -> None:
        self._open: OtherKill | None = None
        self._is_kill = False

    def feed(self, message: Message, joined: str) -> tuple[bool, OtherKill | None]:
        """Read a line. Gives whether it told something, and a kill that is complete with it."""
        if not _HINT.search(joined):
            return False, None
        ident = message.line.ident or ""
        for words in _WORDINGS:
            if words.own_log and words.killer not in ident:
                continue
            if found := words.pattern.match(joined):
                return True, self._take(words, _read(words, found, message, joined))
        return False, None

    def flush(self) -> OtherKill | None:
        """Give what is open, if it was a kill."""
        done = self._open if self._is_kill else None
        self._open, self._is_kill = None, False
        return done

    def _take(self, words: _Words, said: OtherKill) -> OtherKill | None:
        held, done = self._open, None
        if held is None or held.killer != said.killer or (self._is_kill and not _same_kill(words, held, said)):
            done = self.flush()
            if words.kind == "detail":
                return done  # a detail of nothing: a table, a status
            self._open = said
        else:
            self._open = _merge(
                held, said, first_kill=words.kind == "kill" and not self._is_kill, replace_pid=not self._is_kill
            )
        self._is_kill = self._is_kill or words.kind == "kill"
        return done


def _same_kill(words: _Words, held: OtherKill, said: OtherKill) -> bool:
    if words.kind == "begin" or (said.pid and held.pid and said.pid != held.pid):
        return False
    if said.name and held.name and said.name != held.name and words.killer != "nohang":
        return False
    if (
        held.time
        and said.time
        and held.time.epoch
        and said.time.epoch
        and said.time.epoch - held.time.epoch > _NEAR_SECONDS
    ):
        return False
    unit, held_unit = (kill.cgroup.rpartition("/")[2] if kill.cgroup else None for kill in (said, held))
    return not (unit and held_unit and unit != held_unit)


def _merge(held: OtherKill, said: OtherKill, *, first_kill: bool, replace_pid: bool) -> OtherKill:
    longest = max((held.cgroup, said.cgroup), key=lambda path: len(path or ""))
    new_pid = said.pid if replace_pid and said.pid else held.pid or said.pid
    new_name = said.name if replace_pid and said.name else held.name or said.name
    return replace(
        held,
        pid=new_pid,
        name=new_name,
        cgroup=longest,
        processes=held.processes or said.processes,
        rss=held.rss or said.rss,
        reason=(said.reason or held.reason) if first_kill else (held.reason or said.reason),
        line=said.line if not held.pid and said.pid else held.line,
    )


def _read(words: _Words, found: re.Match[str], message: Message, joined: str) -> OtherKill:
    groups = found.groupdict()
    size = groups.get("size")
    unit = groups.get("unit") or ("MiB" if words.killer == "nohang" else "B")
    name = groups.get("name")
    if words.killer == "ray" and (named := _RAY_NAME.search(joined)):
        name = named["name"]
    return OtherKill(
        killer=words.killer,
        time=message.time,
        pid=int(groups["pid"]) if groups.get("pid") else None,
        name=name,
        cgroup=groups.get("cgroup"),
        processes=int(groups["count"]) if groups.get("count") else None,
        rss=_size(size, unit),
        reason=(groups.get("reason") or "").strip() or None,
        line=joined.strip()[:_LINE_CHARACTERS],
    )


def _size(text: str | None, unit: str) -> int | None:
    try:
        return int(float(text or "") * _UNITS[unit])
    except ValueError:
        return None
