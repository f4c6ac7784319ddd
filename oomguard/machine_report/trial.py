"""How `oomguard run` would enforce a budget here, found out by trying."""

from __future__ import annotations

from oomguard.machine_report.model import BetterWay, EnforcementFacts
from oomguard.supervision.launch import probe_enforcement
from oomguard.units import MIB

_TRIED = 64 * MIB


def survey_enforcement() -> EnforcementFacts:
    """Start a job that never begins, under the best backend available, and remove it. Raises: nothing."""
    found = probe_enforcement(_TRIED)
    better = tuple(BetterWay(way=refusal.way, why=refusal.why, do=refusal.do) for refusal in found.refusals)
    return EnforcementFacts(way=found.way, cannot=found.cannot, better=better)
