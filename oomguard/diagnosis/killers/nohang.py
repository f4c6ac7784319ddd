"""nohang. Source: nohang 0.2, and its nohang.conf."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from oomguard.diagnosis.causes.model import Advice
from oomguard.diagnosis.killers.base import Killer, wording

if TYPE_CHECKING:
    from oomguard.formats.kernel_log import OtherKill

_NUMBER = r"([0-9]{1,12}(?:\.[0-9]{1,6})?)"
_NOHANG = re.compile(rf"^\s*(soft|hard)_threshold_min_mem\s*=\s*{_NUMBER}\s*(%|M)", re.MULTILINE)


def nohang_acts(_arguments: list[str], settings: str) -> str:
    """Say when nohang with these settings ends a process."""
    set_to = {kind: f"{number}{' ' if unit == 'M' else ''}{unit}" for kind, number, unit in _NOHANG.findall(settings)}
    return f"when less than {set_to.get('soft', '5%')} of memory is available ({set_to.get('hard', '2%')}: SIGKILL)"


def _advise(_kill: OtherKill) -> tuple[Advice, ...]:
    return (
        Advice(
            text="or tell it to spare the program, in its configuration", command="sudoedit /etc/nohang/nohang.conf"
        ),
    )


# One kill is told over many lines, which begin with two blanks.
KILLER = Killer(
    ident="nohang",
    what="nohang",
    habit="it ends the largest process before memory runs out",
    early=True,
    identifiers=("nohang", "nohang-desktop"),
    comm="nohang",
    in_logs=True,
    wordings=(
        wording(
            r"Memory status that requires(?: a)? corrective actions?",
            "emory status that requires",
            "Memory status that requires corrective actions:",
            kind="begin",
        ),
        wording(
            r"(?P<reason>(?:Mem(?:ory)?Available|SwapFree|MemUsedZram|PSI avg value|PSI metric) .{0,40}?[<>]=? \S{1,40} .{1,60}?)\s*$",
            "",
            "Nov 22 23:15:46 pc nohang[216]:   MemAvailable [16 MiB, 3.6 %] <= soft_threshold_min_mem [22 MiB, 5.0 %]",
            kind="detail",
            own_log=True,
        ),
        wording(
            r"PID:\s+(?P<pid>[0-9]{1,10}), name: (?P<name>.{1,48}?), state:",
            "",
            "Nov 22 23:15:46 pc nohang[216]:   PID: 300, name: prep, state: R (running), PPID: 1",
            kind="detail",
            own_log=True,
        ),
        wording(
            r"Vm, MiB:\s+Size: [0-9]+, RSS: (?P<size>[0-9]{1,12})(?P<unit>)",
            "",
            "Nov 22 23:15:46 pc nohang[216]:   Vm, MiB: Size: 512, RSS: 391",
            kind="detail",
            own_log=True,
        ),
        wording(
            r"cgroup_v2: (?P<cgroup>/\S.{0,1000}?)\s*$",
            "",
            "Nov 22 23:15:46 pc nohang[216]:   cgroup_v2: /user.slice/a.scope",
            kind="detail",
            own_log=True,
        ),
        wording(
            r"Implement(?:ing|ed) a corrective action",
            "a corrective action",
            "Nov 22 23:15:46 pc nohang[216]: Implementing a corrective action:",
            own_log=True,
        ),
        wording(
            r"Sending SIGTERM to|Sending SIGKILL to",
            "Sending SIGTERM to|Sending SIGKILL to",
            "Sending SIGTERM to the victim",
        ),
        wording(
            r"\[ OK \] Sending SIG(?:TERM|KILL) to (?P<name>.{1,48}?)(?:: [0-9]+)?\s*$",
            "Sending SIGTERM to|Sending SIGKILL to",
            "[ OK ] Sending SIGTERM to prep",
        ),
    ),
    advise=_advise,
    settings_files=("etc/nohang/nohang.conf", "etc/nohang/nohang-desktop.conf"),
    acts=nohang_acts,
)
