"""What is known of one program that ends others for lack of memory, or tells that it was done: one entry, and its parts."""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from oomguard.diagnosis.model import Advice
from oomguard.units import GIB, KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.formats.kernel_log import OtherKill


# "kill": lack of memory ended something. "sigkill": a SIGKILL whose sender and reason the text does not name.
# "elsewhere": something other than the host's memory ran out, or memory was refused, and nothing was killed.
Says = Literal["kill", "sigkill", "elsewhere"]
Kind = Literal["begin", "detail", "kill"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """One wording. "begin" opens a kill that later lines tell of, "detail" adds to one, "kill" is the kill itself.

    Groups of `pattern`: pid, name, cgroup, count, size and unit, reason; any other is kept as a fact under its name.
    `word` finds, in bytes and fast, every text that the pattern can match: it begins with at least four fixed bytes.
    """

    pattern: re.Pattern[str]
    word: str
    example: str
    kind: Kind = "kill"
    own_log: bool = False  # too plain to be believed from another program
    beside: re.Pattern[str] | None = None  # too plain to be believed where no line before has this


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that the lines around a kill tell: the last before it, else the first after it."""

    key: str
    pattern: re.Pattern[str]
    where: Literal["near", "before", "after"] = "near"
    unit: str = ""  # of a bare number


def _no_advice(_kill: OtherKill) -> tuple[Advice, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Killer:
    """One entry of the table. Registering it is all that is needed: reading, journal, screens and advice look here."""

    ident: str
    what: str  # "killed by WHAT"; of "sigkill" what ended; of "elsewhere" what happened, as a sentence
    wordings: tuple[Wording, ...]
    says: Says = "kill"
    habit: str = ""  # what it does, as a sentence: for whoever has not heard of it
    killer: str = ""  # who killed, where that is another: "kernel"; empty: itself
    tells_who: bool = False  # its words say who killed, where others of the same system say only that it was for memory
    early: bool = False  # acts before the kernel has to
    linux: bool = True  # of a system that oomguard runs on
    in_logs: bool = False  # writes into logs that may be long; others are met in short texts that people paste
    identifiers: tuple[str, ...] = ()  # of its lines in the journal
    comm: str = ""  # how a running one is found
    facts: tuple[Fact, ...] = ()
    # What a table around the kill tells, of which a pattern cannot say in which column it stands.
    read_table: Callable[[OtherKill, list[str]], dict[str, str]] | None = None
    advise: Callable[[OtherKill], tuple[Advice, ...]] = _no_advice
    # Out of its arguments and its settings' text: when it acts, for `doctor`.
    settings_files: tuple[str, ...] = ()
    settings_folder: str | None = None
    acts: Callable[[list[str], str], str] | None = None
    why: str = ""  # for people, where the text itself gives no reason

    @property
    def blamed(self) -> str:
        """Who killed, for JSON."""
        return self.killer or self.ident


# What may stand before the words of a killer: brackets, a label, a level, a progress bar, a mark of a list. A sentence, a
# comment or code may not.
_LEAD = re.compile(
    r"\[[^\]\n]{1,120}\]:?\s*|\([^()\n]{1,80}\)\s+"
    r"|(?:WARNING|ERROR|INFO|CRITICAL):[\w.]{1,80}:"
    r"|(?:INFO|WARN(?:ING)?|ERROR|DEBUG|CRITICAL|FATAL|NOTICE|TRACE)\b[:\s]\s*"
    r"|[0-9][0-9:.,TZ+/-]{3,40}\s+"
    r"|[IWEF][0-9]{4} [0-9:.]{8,15}\s+[0-9]+ [\w./-]{1,120}:[0-9]+\]\s*"
    r"|[\w.@/+=-]{1,120}(?:\[[\w.]{1,40}\]|\([0-9]+\))?(?::[0-9]{1,9}){0,2}:(?:\s+|(?<=[0-9]:))"
    r"|[A-Z][\w-]{1,30} [\w-]{1,30}:\s+"
    r"|[VDIWEF]/[\w.]{1,40} *(?:\( *[0-9]{1,10}\))?: "
    r"|(?P<column>[\w.-]{1,80} +\| )"
    r"|E {2,4}|[-|>*\u2022\u25cf\u00d7\"'`]+\s*|\s+"
    r"|[^\[\]|\n]{0,80}?[0-9]{1,3}%\|[^|\n]{0,200}\|[^\[\]\n]{0,60}(?:\[[^\[\]\n]{0,100}\])?,?\s*"
    r"|[^\[\]\n]{0,60}?[0-9]+/[0-9]+ \[[=>. -]{3,80}\][^\n]{0,60}?(?=[a-z]+: )"
)
_MOST_LEADS = 10


def starts(text: str) -> list[int]:
    """Where the words of a killer may begin in a line: at its beginning, and after each thing that may lead them."""
    found = [0]
    while len(found) < _MOST_LEADS and (lead := _LEAD.match(text, found[-1])) and lead.end() > found[-1]:
        if lead["column"] and "|" in text[: found[-1]]:  # one is a container's name; two are a table
            break
        found.append(lead.end())
    return found


def wording(
    pattern: str, word: str, example: str, *, kind: Kind = "kill", own_log: bool = False, beside: str = ""
) -> Wording:
    """Register a wording. What may stand before it is the same for all: starts()."""
    return Wording(
        pattern=re.compile(pattern, re.DOTALL), word=word, example=example, kind=kind, own_log=own_log,
        beside=re.compile(beside, re.DOTALL) if beside else None,
    )  # fmt: skip


def fact(key: str, pattern: str, where: Literal["near", "before", "after"] = "near", *, unit: str = "") -> Fact:
    """Register a fact: the first group of the pattern, whose ^ and $ are ends of lines; a bare number is in `unit`."""
    return Fact(key=key, pattern=re.compile(pattern, re.MULTILINE), where=where, unit=unit)


@dataclass(slots=True)
class Around:
    """The lines before and after a kill."""

    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    def read(self, facts: tuple[Fact, ...], line: str) -> dict[str, str]:
        """What they tell. The kill's own line comes first."""
        before, after = "\n".join(self.before), "\n".join(self.after)
        told: dict[str, str] = {}
        for each in facts:
            if each.key in told:
                continue
            found = each.pattern.search(line)
            if not found and each.where != "before":
                found = each.pattern.search(after) if each.where == "after" else None
            if not found and each.where != "after":
                found = next(iter(reversed(list(each.pattern.finditer(before)))), None)
            if not found and each.where == "near":
                found = each.pattern.search(after)
            if found and found[1]:
                value = found[1].strip()[:200]
                told[each.key] = value + each.unit if value.isdigit() else value
        return told


# What an entry is made of where only wordings are known, and the number to ask for after one was not enough.

PID = r"(?P<pid>[0-9]{1,10})"

_SIZE = re.compile(
    r"(?P<number>[0-9]{1,15}(?:\.[0-9]{1,6})?)\s*(?:(?P<power>[kKMGT])i?(?:[bB](?:ytes?)?)?|(?P<small>[mg])(?:b|egabytes?|igabytes?)|[bB](?:ytes?)?)?(?=$|[\s,;:)>\]])"
)
_POWER = {"": 1, "K": KIB, "M": MIB, "G": GIB, "T": GIB * KIB}
_ENOUGH = 1.5


def parse_size(text: str | None, *, unit: str = "") -> int | None:
    """Read "512Mi", "8405120kb", "9.8 GB", "2048 megabytes" in bytes; a bare number is in `unit`. None: no size."""
    found = _SIZE.match((text or "").strip())
    if found is None:
        return None
    power = (found["power"] or found["small"] or "").upper()
    return int(float(found["number"]) * _POWER[power or unit])


def size_told(kill: OtherKill, key: str) -> int | None:
    """A size among the facts."""
    return parse_size(kill.facts.get(key))


def ask_for(kill: OtherKill) -> int | None:
    """How much to ask for next time: half as much again as what was used or allowed, in whole GiB from 1 GiB on."""
    known = [size for size in (size_told(kill, "used"), size_told(kill, "limit"), kill.rss) if size]
    if not known:
        return None
    wanted = max(known) * _ENOUGH
    step = GIB if wanted >= GIB else 64 * MIB
    return math.ceil(wanted / step) * step


def in_gib(size: int | None, *, suffix: str = "G", small: str = "M", none: str = "SIZE") -> str:
    """A size in the letters of a job system: "12G", "512M"."""
    if size is None:
        return none
    return f"{size // GIB}{suffix}" if size % GIB == 0 else f"{math.ceil(size / MIB)}{small}"


def system(
    ident: str,
    what: str,
    *wordings: Wording,
    do: tuple[tuple[str, str | None], ...],
    facts: tuple[Fact, ...] = (),
    why: str = "",
    suffix: str = "G",
    small: str = "M",
    killer: str = "",
    linux: bool = True,
) -> Killer:
    """One entry. {size} in `do` is the number to ask for, {mib} the same in MiB, {job} and others are facts of the text."""

    def advise(kill: OtherKill) -> tuple[Advice, ...]:
        size = ask_for(kill)
        words = {
            "job": "JOB", "container": "CONTAINER", "service": "SERVICE", "function": "FUNCTION", "app": "APP", "pool": "POOL",
            "unit": "UNIT", "workflow": "WORKFLOW", "pid": kill.pid or "PID", **kill.facts, "size": in_gib(size, suffix=suffix, small=small),
            "mib": str(size // MIB) if size else "MIB",
        }  # fmt: skip
        # A log says what it likes; what is pasted into a shell must stay one word.
        quoted = {**words, **{key: shlex.quote(value) for key, value in kill.facts.items() if words[key] is value}}
        return tuple(
            Advice(text=text.format(**words), command=command.format(**quoted) if command else None)
            for text, command in do
        )

    return Killer(
        ident=ident, what=what, wordings=wordings, facts=facts, advise=advise, why=why, killer=killer, linux=linux
    )


def sigkill(
    ident: str,
    what: str,
    *wordings: Wording,
    do: tuple[tuple[str, str | None], ...] = (),
    facts: tuple[Fact, ...] = (),
    why: str = "",
) -> Killer:
    """One entry of what tells of a SIGKILL without its reason. UNIT in `do` is the name in the text."""

    def advise(kill: OtherKill) -> tuple[Advice, ...]:
        unit = shlex.quote(kill.name or "UNIT")
        return tuple(Advice(text=text, command=command and command.replace("UNIT", unit)) for text, command in do)

    return Killer(ident=ident, what=what, wordings=wordings, says="sigkill", facts=facts, advise=advise, why=why)
