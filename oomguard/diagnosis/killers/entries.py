"""What an entry of the tables is made of where only wordings are known, and the number to ask for after one was not enough."""

from __future__ import annotations

import math
import re
import shlex
from typing import TYPE_CHECKING

from oomguard.diagnosis.causes.model import Advice
from oomguard.diagnosis.killers.base import Fact, Killer, Wording
from oomguard.units import GIB, KIB, MIB

if TYPE_CHECKING:
    from oomguard.formats.kernel_log import OtherKill

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
