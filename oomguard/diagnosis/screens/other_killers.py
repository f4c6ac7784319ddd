"""Lines about a kill that a program did or told of, and about ends that are not put down to the host's memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from oomguard.diagnosis.killers import BY_IDENT
from oomguard.diagnosis.killers.base import parse_size
from oomguard.diagnosis.screens.layout import Lines, short, when_text
from oomguard.units import format_size

if TYPE_CHECKING:
    from oomguard.diagnosis.model import Findings
    from oomguard.formats.kernel_log import Notice, OtherKill

_PLACES = (  # facts that say what or where, and how they are shown
    ("container", "container {}"), ("pod", "pod {}"), ("namespace", "namespace {}"), ("unit", "unit {}"),
    ("service", "service {}"), ("function", "function {}"), ("app", "dyno {}"), ("job", "job {}"), ("step", "step {}"),
    ("node", "on node {}"),
)  # fmt: skip
_TIMES = (
    ("started", "started {}"),
    ("finished", "finished {}"),
    ("restarts", "restarted {} times"),
    ("exit", "exit status {}"),
)
_FRACTION = re.compile(r"(?<=:[0-9]{2})\.[0-9]{3,9}")
NOT_SAID = "the log does not say"


def other_lines(kill: OtherKill) -> Lines:
    """The lines about a kill by a program, or told by one."""
    entry = BY_IDENT[kill.told_by]
    habit = f"; {entry.habit}" if entry.habit else ""
    source = "that counter" if kill.told_by == "memory.events" else "the log"
    return [
        ("killed by", f"{entry.what}{when_text(kill.time) or _finished(kill)}: proved by {source}{habit}"),
        ("what died", died_text(kill)),
        ("why", _reason_text(kill, entry.why)),
        ("filled by", _filled(kill)),
        ("memory", _room(kill, early=entry.early)),
    ]


def who_killed(kill: OtherKill) -> str:
    """Who killed, as far as the words of a program tell."""
    return BY_IDENT[kill.told_by].what


def _finished(kill: OtherKill) -> str:
    return f", {_FRACTION.sub('', kill.facts['finished'])}" if "finished" in kill.facts else ""


def died_text(kill: OtherKill) -> str:
    """What died, and what is told of it."""
    died = " ".join(filter(None, (short(kill.name) if kill.name else "", f"(pid {kill.pid})" if kill.pid else "")))
    is_step = kill.cgroup is not None and not kill.cgroup.startswith("/") and "job" in kill.facts
    if kill.cgroup and not is_step:
        died += f"{' in ' if died else ''}{short(kill.cgroup)}"
    places = [form.format(short(kill.facts[key])) for key, form in _PLACES if key in kill.facts]
    if places:
        died += f"{' ' if places[0].startswith('on ') and died else ' in ' if died else ''}{', '.join(places)}"
    died = f"what ran {died}" if died.startswith("on node") else died or NOT_SAID
    if kill.rss:
        died = (
            f"{'a process that the log does not name' if died == NOT_SAID else died}, holding {format_size(kill.rss)}"
        )
    if kill.processes:
        died += f" ({kill.processes} process{'es' if kill.processes != 1 else ''})"
    times = [form.format(_FRACTION.sub("", kill.facts[key])) for key, form in _TIMES if key in kill.facts]
    return died + (f"; {', '.join(times)}" if times else "")


def _reason_text(kill: OtherKill, usual: str) -> str:
    """Its own words, with sizes that can be read."""
    limit = f" ({kill.facts['limit']})" if "limit" in kill.facts and _shown_size(kill.facts["limit"]) else ""
    if kill.reason is None:
        return f"{usual}{limit}" if usual else "memory ran low; the log says no more"
    reason = re.sub(r"(?<=\()[0-9]{6,15}(?=\))", lambda size: format_size(int(size[0])), kill.reason)
    if reason.startswith("memory pressure"):
        return f"its processes spent their time waiting for memory: {reason}"
    if " being more than " in reason:  # systemd-oomd's words
        return f"memory ran low: {reason}"
    if kill.told_by == "ray" and reason[:1].isdigit() and "Worker" not in reason:
        return f"the memory of the node was at {reason}"
    return f"{usual}{limit}: {reason}" if usual else reason


def _shown_size(text: str) -> bool:
    return bool(re.search(r"[A-Za-z]", text))


def _filled(kill: OtherKill) -> str:
    used = kill.facts.get("used")
    if used is None:
        return NOT_SAID
    return f"its processes: {_size_text(used)} in use"


def _size_text(told: str) -> str:
    size = parse_size(told)
    return told if size is None or (told.isdigit() and len(told) < 7) else format_size(size)


def _room(kill: OtherKill, *, early: bool) -> str:
    limit, available = kill.facts.get("limit"), kill.facts.get("available")
    if available:
        return f"{_size_text(available)} was available on the node"
    if limit:
        return f"the limit was {_size_text(limit)}"
    if kill.reason and (told := _room_in_words(kill.reason)):
        return told
    if early:
        return "it acts before memory has run out; this log shows no kill by the kernel"
    return NOT_SAID


_AVAILABLE = re.compile(  # nohang, and both of earlyoom's
    r"MemAvailable \[(?P<size>[0-9]+) MiB, (?P<share>[0-9.]+) ?%\]"
    r"|mem avail: (?P<of>[0-9]+ of +[0-9]+ MiB) \((?P<part> ?[0-9.]+) ?%\)"
    r"|avail: (?P<old>[0-9]+) MiB <"
)
_SIZE = r"[0-9.]+ ?[KMGT]i?B"
_USED = re.compile(  # Ray, before and after 2.1
    rf"(?P<used>{_SIZE})\)? ?/ (?:total capacity \()?(?P<total>{_SIZE})\)? \((?P<part>0\.[0-9]+|1\.0*)\)"
)


def _room_in_words(reason: str) -> str | None:
    """How much room there was, where the program gives it as its reason."""
    if found := _AVAILABLE.search(reason):
        if found["of"]:
            return f"{found['of']} was available ({found['part'].strip()}%)"
        share = f" ({found['share']}%)" if found["share"] else ""
        return f"{found['size'] or found['old']} MiB was available{share}"
    if found := _USED.search(reason):
        return f"{found['used']} of {found['total']} of the node was in use ({float(found['part']):.0%})"
    return None


def notice_lines(diagnosis: Findings) -> Lines:
    """The lines if nothing is proved: a SIGKILL without a reason, or a limit other than the host's memory."""
    notice = diagnosis.notices[0]
    name = BY_IDENT[notice.told_by].what
    if notice.says == "elsewhere":
        return [
            ("killed by", f"nothing: {name}"),
            ("it says", short(notice.reason or notice.line)),
            ("why", BY_IDENT[notice.told_by].why),
        ]
    return [
        (
            "killed by",
            "unknown: this text reports a sudden end, but not who sent SIGKILL or why",
        ),
        ("what died", _who(notice, name)),
        (
            "why",
            "only the kernel log of that machine can show whether memory was the reason; 137 or -9 alone cannot",
        ),
        *_peak(notice),
    ]


def _who(notice: Notice, name: str) -> str:
    told = [f"pid {notice.pid}"] if notice.pid is not None else []
    told += [short(notice.name)] if notice.name else []
    return f"{name} ({', '.join(told)})" if told else name


def _peak(notice: Notice) -> Lines:
    used = notice.facts.get("used_kb")
    return [("held", f"up to {format_size(int(used) * 1024)} (Maximum resident set size)")] if used else []
