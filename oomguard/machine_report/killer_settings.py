"""When a userspace killer acts, out of its settings. Source: earlyoom(1), oomd.conf(5), nohang's nohang.conf."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBER = r"([0-9]{1,12}(?:\.[0-9]{1,6})?)"
_EARLYOOM = re.compile(rf"-([mMsS])\s?{_NUMBER}")
_OOMD = re.compile(
    r"^(SwapUsedLimit|DefaultMemoryPressureLimit|DefaultMemoryPressureDurationSec)\s*=\s*(\S{1,20})", re.MULTILINE
)
_NOHANG = re.compile(rf"^\s*(soft|hard)_threshold_min_mem\s*=\s*{_NUMBER}\s*(%|M)", re.MULTILINE)


def earlyoom_acts(arguments: Sequence[str]) -> str:
    """Say when earlyoom, started with these arguments, ends a process: when both memory and swap are below."""
    set_to = dict(_EARLYOOM.findall(" ".join(arguments)[:4096]))
    memory = f"{set_to['M']} KiB" if "M" in set_to else f"{set_to.get('m', '10')} %"
    swap = f"{set_to['S']} KiB" if "S" in set_to else f"{set_to.get('s', '10')} %"
    return f"when less than {memory} of memory is available and less than {swap} of swap is free"


def oomd_acts(settings: str) -> str:
    """Say when systemd-oomd with these settings (all its files, in order) ends a cgroup that it watches."""
    set_to = dict(_OOMD.findall(settings))
    used, waiting = set_to.get("SwapUsedLimit", "90%"), set_to.get("DefaultMemoryPressureLimit", "60%")
    seconds = set_to.get("DefaultMemoryPressureDurationSec", "30s")
    return (
        f"when {used} of memory and swap are used, or the tasks of a cgroup wait for memory {waiting} of the time "
        f"for {seconds}"
    )


def nohang_acts(settings: str) -> str:
    """Say when nohang with these settings ends a process."""
    set_to = {kind: f"{number} {unit}" for kind, number, unit in _NOHANG.findall(settings)}
    return f"when less than {set_to.get('soft', '5 %')} of memory is available ({set_to.get('hard', '2 %')}: SIGKILL)"
