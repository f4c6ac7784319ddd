"""How long tasks waited for memory (PSI). Source: Linux Documentation/accounting/psi.rst; /proc/pressure/memory."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE = re.compile(r"^(some|full) avg10=([0-9]{1,3}\.[0-9]{2}) avg60=([0-9]{1,3}\.[0-9]{2}) ", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """The share of time, from 0 to 1, in which tasks waited for memory."""

    some_10s: float  # at least one task waited; average of the last 10 seconds
    some_60s: float
    full_10s: float  # all tasks that were not idle waited
    full_60s: float


def parse_pressure(text: str) -> Pressure | None:
    """Read /proc/pressure/memory or a cgroup's memory.pressure. None: this kernel does not measure it."""
    averages = {kind: (float(ten) / 100, float(sixty) / 100) for kind, ten, sixty in _LINE.findall(text)}
    if averages.keys() != {"some", "full"}:
        return None
    (some_10s, some_60s), (full_10s, full_60s) = averages["some"], averages["full"]
    return Pressure(some_10s=some_10s, some_60s=some_60s, full_10s=full_10s, full_60s=full_60s)
