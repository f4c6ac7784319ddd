"""systemd-oomd, earlyoom and nohang: daemons that end a process before the kernel has to."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from oomguard.diagnosis.killers.base import Killer, wording
from oomguard.diagnosis.model import Advice

if TYPE_CHECKING:
    from oomguard.formats.kernel_log import OtherKill


# systemd-oomd. Source: systemd src/oom/oomd-util.c, src/core/unit.c; oomd.conf(5).


_OOMD = re.compile(
    r"^(SwapUsedLimit|DefaultMemoryPressureLimit|DefaultMemoryPressureDurationSec)\s*=\s*(\S{1,20})", re.MULTILINE
)


def oomd_acts(_arguments: list[str], settings: str) -> str:
    """Say when systemd-oomd with these settings (all its files, in order) ends a cgroup that it watches."""
    set_to = dict(_OOMD.findall(settings))
    used, waiting = set_to.get("SwapUsedLimit", "90%"), set_to.get("DefaultMemoryPressureLimit", "60%")
    seconds = set_to.get("DefaultMemoryPressureDurationSec", "30s")
    return (
        f"when {used} of memory and swap are used, or the tasks of a cgroup wait for memory {waiting} of the time "
        f"for {seconds}"
    )


def _advise_after_oomd(kill: OtherKill) -> tuple[Advice, ...]:
    unit = (kill.cgroup or "UNIT").rpartition("/")[2]
    user = "--user " if "/user@" in (kill.cgroup or "") or "app-" in unit else ""
    return (
        Advice(text="see what it watches, and how close each group is to its limit", command="oomctl"),
        Advice(
            text="or tell it to spare this one",
            command=f"systemctl {user}set-property {shlex.quote(unit)} ManagedOOMPreference=avoid",
        ),
    )


# "Considered N cgroups for killing" and "Path: ..." are no kills.
SYSTEMD_OOMD = Killer(
    ident="systemd-oomd",
    what="systemd-oomd",
    habit="it ends whole units before memory runs out",
    early=True,
    identifiers=("systemd-oomd",),
    comm="systemd-oomd",
    in_logs=True,
    wordings=(
        wording(
            r"Killed (?P<cgroup>/.{1,1000}?) due to (?P<reason>memory (?:pressure|used) .{0,300})",
            "Killed /",
            "Killed /user.slice/user-1000.slice/a.scope due to memory pressure for /user.slice being 51.07% > 50.00% for > 20s with reclaim activity",
        ),
        wording(
            r"Marked (?P<cgroup>/.{1,1000}?) for killing(?: due to (?P<reason>.{1,300}))?",
            "for killing",
            "Marked /user.slice/a.scope for killing due to memory used being more than 90.00%",
        ),
        wording(
            r"(?P<cgroup>\S{1,255}): systemd-oomd killed (?:(?P<count>[1-9][0-9]{0,8})|some) process",
            "oomd killed",
            "swapper.service: systemd-oomd killed 2 process(es) in this unit.",
        ),
    ),
    advise=_advise_after_oomd,
    settings_files=("usr/lib/systemd/oomd.conf", "etc/systemd/oomd.conf"),
    settings_folder="systemd/oomd.conf.d",
    acts=oomd_acts,
)


# earlyoom. Source: earlyoom's kill.c and main.c, 1.0 to 1.8; earlyoom(1).


_NUMBER = r"([0-9]{1,12}(?:\.[0-9]{1,6})?)"
_EARLYOOM = re.compile(rf"-([mMsS])\s?{_NUMBER}")


def earlyoom_acts(arguments: list[str], _settings: str = "") -> str:
    """Say when earlyoom, started with these arguments, ends a process: when both memory and swap are below."""
    set_to = dict(_EARLYOOM.findall(" ".join(arguments)[:4096]))
    memory = f"{set_to['M']} KiB" if "M" in set_to else f"{set_to.get('m', '10')}%"
    swap = f"{set_to['S']} KiB" if "S" in set_to else f"{set_to.get('s', '10')}%"
    return f"when less than {memory} of memory is available and less than {swap} of swap is free"


def _advise_after_earlyoom(_kill: OtherKill) -> tuple[Advice, ...]:
    return (
        Advice(
            text="or tell it to spare the program: EARLYOOM_ARGS with --avoid", command="sudoedit /etc/default/earlyoom"
        ),
    )


EARLYOOM = Killer(
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
            r"(?:badness|oom_score) [0-9]{1,5}(?:.{0,100}?VmRSS (?P<size>[0-9]{1,12}) (?P<unit>MiB))?",
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
    advise=_advise_after_earlyoom,
    acts=earlyoom_acts,
)


# nohang. Source: nohang 0.2, and its nohang.conf.


_NOHANG = re.compile(rf"^\s*(soft|hard)_threshold_min_mem\s*=\s*{_NUMBER}\s*(%|M)", re.MULTILINE)


def nohang_acts(_arguments: list[str], settings: str) -> str:
    """Say when nohang with these settings ends a process."""
    set_to = {kind: f"{number}{' ' if unit == 'M' else ''}{unit}" for kind, number, unit in _NOHANG.findall(settings)}
    return f"when less than {set_to.get('soft', '5%')} of memory is available ({set_to.get('hard', '2%')}: SIGKILL)"


def _advise_after_nohang(_kill: OtherKill) -> tuple[Advice, ...]:
    return (
        Advice(
            text="or tell it to spare the program, in its configuration", command="sudoedit /etc/nohang/nohang.conf"
        ),
    )


# One kill is told over many lines, which begin with two blanks.
NOHANG = Killer(
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
    advise=_advise_after_nohang,
    settings_files=("etc/nohang/nohang.conf", "etc/nohang/nohang-desktop.conf"),
    acts=nohang_acts,
)
