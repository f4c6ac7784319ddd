"""Which kills somebody asks for: since when, of which process, by which program, which may be read here."""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.diagnosis.advice.common import PYTHON_NAMES
from oomguard.diagnosis.advice.kernel import SuspectScript
from oomguard.errors import BadInput, OomguardError
from oomguard.formats.kernel_log import Notice, OtherKill, UnitNotice
from oomguard.kernel.plain_files import open_regular

if TYPE_CHECKING:
    from oomguard.formats.kernel_log import LogFinding

_LONGEST_SCRIPT = 1 << 20  # that is read
_COMM = 15  # bytes of a process's name that the kernel keeps
_AGO = re.compile(r"([0-9]{1,9})\s*(s|sec|min|m|h|d|days?|hours?|minutes?|seconds?)(?: ago)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True, kw_only=True)
class KillFilter:
    """Which kills to look for. None: any. `pid` is the host's: inside a container it is another."""

    since: float | None = None
    pid: int | None = None
    name: str | None = None
    script: str | None = None

    def __str__(self) -> str:
        parts = []
        if self.pid is not None:
            parts.append(f"pid {self.pid}")
        if self.name is not None:
            parts.append(f'the name "{self.name}"')
        if self.script is not None:
            parts.append(f"a run of {self.script}")
        if self.since is not None:
            parts.append(f"since {datetime.fromtimestamp(self.since, UTC).astimezone().isoformat(timespec='seconds')}")
        return ", ".join(parts)

    def fits(self, finding: LogFinding) -> bool:
        """Whether a kill is one of those; one without a time fits any."""
        if self.since is not None and finding.time and finding.time.epoch and finding.time.epoch < self.since:
            return False
        if isinstance(finding, UnitNotice) or (self.pid is None and self.name is None and self.script is None):
            return True
        if isinstance(finding, OtherKill | Notice):
            place = finding.cgroup if isinstance(finding, OtherKill) else None
            return self._is(finding.pid, finding.name) or (
                self.name is not None
                and self.pid is None
                and (self.name in (place or "") or self.name in finding.facts.values())
            )
        named = [*finding.victims, *([finding.chosen] if finding.chosen else [])]
        return any(self._is(victim.pid, victim.name) for victim in named) or self._is(None, finding.half_chosen)

    def _is(self, pid: int | None, name: str | None) -> bool:
        if self.pid is not None and pid != self.pid:
            return False
        if self.name is not None and (name is None or name[:_COMM] != self.name[:_COMM]):
            return False
        return self.script is None or (name is not None and may_run(self.script, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The filter in words (None: any kill), and the user's program."""

    filter: str | None = None
    script: SuspectScript | None = None


def parse_since(text: str) -> float:
    """Read a point in time, in seconds since 1970: "2h", "30 min ago", "2026-11-25", "10:30", "today", "yesterday".

    Raises: BadInput for anything else.
    """
    now = time.time()
    today = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    if text.strip() in ("today", "yesterday"):
        return today.timestamp() - (86400 if text.strip() == "yesterday" else 0)
    if age := _AGO.fullmatch(text.strip()):
        return max(0.0, now - int(age[1]) * _SECONDS[age[2][0]])  # before 1970 there is no log
    for given in (text.strip(), f"{today.date().isoformat()} {text.strip()}"):
        try:
            return datetime.fromisoformat(given).astimezone().timestamp()
        except (ValueError, OverflowError):
            continue
    raise BadInput(
        f'"{text}" is not a time', do="write an age (30min, 2h, 3d) or a time (2026-11-25 10:30, 10:30, yesterday)"
    )


def may_run(script: str, name: str) -> bool:
    """Whether a process of this name may have run this script: the kernel tells 15 bytes of a name, no command line."""
    own = Path(script).name
    return name in (own[:_COMM], Path(own).stem[:_COMM]) or (own.endswith(".py") and name.startswith(PYTHON_NAMES))


def read_suspect(script: str, input_file: str | None) -> SuspectScript:
    """Read the script, where that is possible: a log may come from another machine. Raises: nothing."""
    from oomguard.script_analysis.api import check_script

    try:
        findings = check_script(script).findings
    except OomguardError:
        findings = ()
    text = ""
    with contextlib.suppress(OSError), open_regular(script) as file:
        text = file.read(_LONGEST_SCRIPT).decode(errors="replace")
    if not findings:
        return SuspectScript(path=script, input_file=input_file, text=text)
    most = max(findings, key=lambda finding: finding.held_per_byte)
    return SuspectScript(
        path=script,
        input_file=input_file,
        line=most.line,
        code=most.code,
        held_per_byte=most.held_per_byte,
        text=text,
    )
