"""systemd-oomd. Source: systemd src/oom/oomd-util.c, src/core/unit.c; oomd.conf(5)."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from oomguard.diagnosis.killers.base import Killer, wording
from oomguard.diagnosis.model import Advice

if TYPE_CHECKING:
    from oomguard.formats.kernel_log import OtherKill

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


def _advise(kill: OtherKill) -> tuple[Advice, ...]:
    unit = (kill.cgroup or "UNIT").rpartition("/")[2]
    user = "--user " if "/user@" in (kill.cgroup or "") or "app-" in unit else ""
    return (
        Advice(text="see what it watches, and how near each group is to its limit", command="oomctl"),
        Advice(
            text="or tell it to spare this one",
            command=f"systemctl {user}set-property {shlex.quote(unit)} ManagedOOMPreference=avoid",
        ),
    )


# "Considered N cgroups for killing" and "Path: ..." are no kills.
KILLER = Killer(
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
    advise=_advise,
    settings_files=("usr/lib/systemd/oomd.conf", "etc/systemd/oomd.conf"),
    settings_folder="systemd/oomd.conf.d",
    acts=oomd_acts,
)
