"""Meta's oomd. Source: facebookincubator/oomd plugins/BaseKillPlugin.cpp."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.causes.model import Advice
from oomguard.diagnosis.killers.base import Killer, wording

if TYPE_CHECKING:
    from oomguard.formats.kernel_log import OtherKill


def _advise(_kill: OtherKill) -> tuple[Advice, ...]:
    return (Advice(text="or change its rules for this cgroup", command="sudoedit /etc/oomd.json"),)


KILLER = Killer(
    ident="oomd",
    what="oomd, a program that ends cgroups before memory runs out",
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
    advise=_advise,
)
