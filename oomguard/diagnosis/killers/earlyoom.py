"""earlyoom. Source: earlyoom's kill.c and main.c, 1.0 to 1.8; earlyoom(1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from oomguard.diagnosis.causes.model import Advice
from oomguard.diagnosis.killers.base import Killer, wording

if TYPE_CHECKING:
    from oomguard.formats.kernel_log import OtherKill

_NUMBER = r"([0-9]{1,12}(?:\.[0-9]{1,6})?)"
_EARLYOOM = re.compile(rf"-([mMsS])\s?{_NUMBER}")


def earlyoom_acts(arguments: list[str], _settings: str = "") -> str:
    """Say when earlyoom, started with these arguments, ends a process: when both memory and swap are below."""
    set_to = dict(_EARLYOOM.findall(" ".join(arguments)[:4096]))
    memory = f"{set_to['M']} KiB" if "M" in set_to else f"{set_to.get('m', '10')}%"
    swap = f"{set_to['S']} KiB" if "S" in set_to else f"{set_to.get('s', '10')}%"
    return f"when less than {memory} of memory is available and less than {swap} of swap is free"


def _advise(_kill: OtherKill) -> tuple[Advice, ...]:
    return (
        Advice(
            text="or tell it to spare the program: EARLYOOM_ARGS with --avoid", command="sudoedit /etc/default/earlyoom"
        ),
    )


KILLER = Killer(
    ident="earlyoom",
    what="earlyoom",
    habit="it ends the largest process before memory runs out",
    early=True,
    identifiers=("earlyoom",),
    comm="earlyoom",
    in_logs=True,
    wordings=(
        wording(
            r"(?P<reason>low memory! at or below SIG(?:TERM|KILL) limits: .{0,200})",
            "low memory! at or below SIG",
            "low memory! at or below SIGTERM limits: mem 10.00%, swap 10.00%",
            kind="begin",
        ),
        wording(
            r"(?P<reason>Out of memory! avail: [0-9]+ MiB < min: [0-9]+ MiB)",
            "memory! avail: [0-9]",
            "Out of memory! avail: 411 MiB < min: 782 MiB",
            kind="begin",
        ),
        wording(
            r"sending SIG(?:TERM|KILL) to process (?P<pid>[0-9]{1,10})(?: uid [0-9]+)? \"(?P<name>.{0,64}?)\": "
            r"(?:badness|oom_score) .{0,100}?VmRSS (?P<size>[0-9]{1,12}) (?P<unit>MiB)",
            "sending SIGTERM to process|sending SIGKILL to process",
            'sending SIGTERM to process 12006 uid 1000 "prep": badness 209, VmRSS 2891 MiB',
        ),
        wording(
            r"[Kk]illing process (?P<pid>[0-9]{1,10}) \"(?P<name>.{0,64}?)\" with signal [0-9]{1,2}: "
            r"badness .{0,60}?VmRSS (?P<size>[0-9]{1,12}) (?P<unit>MiB)",
            'Killing process [0-9]{1,10} "|killing process [0-9]{1,10} "',
            'killing process 27541 "eater" with signal 15: badness 550, VmRSS 7609 MiB',
        ),
        wording(
            r"[Kk]illing process '(?P<name>.{0,64}?)' with signal [0-9]{1,2}, pid: (?P<pid>[0-9]{1,10}), "
            r"badness: .{0,60}?VmRSS: (?P<size>[0-9]{1,12}) (?P<unit>MiB)",
            "Killing process '|killing process '",
            "Killing process 'bash' with signal 15, pid: 5874, badness: 538, VmRSS: 3160 MiB",
        ),
        wording(
            r"[Kk]illing process (?P<pid>[0-9]{1,10}) \"?(?P<name>[^\s\"].{0,63}?)\"?\s*$",
            "Killing process [0-9]|killing process [0-9]",
            "Oct 20 14:29:21 pc earlyoom[912]: Killing process 4711 gpg-agent",
            own_log=True,
        ),
        wording(
            r"(?P<reason>Low memory! mem avail: [0-9]+ of [0-9]+ MiB .{0,120})",
            "Low memory! mem avail",
            "Low memory! mem avail: 643 of 5875 MiB (10) % <= min 10 %, swap free: 0 of 0 MiB (0 %) <= min 10 %",
            kind="begin",
        ),
        wording(
            r"(?P<reason>Invoking oom killer: Success)",
            "Invoking oom killer: ",
            "Invoking oom killer: Success",
        ),
    ),
    advise=_advise,
    acts=earlyoom_acts,
)
