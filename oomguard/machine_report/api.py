"""Check a machine's memory settings before a big job."""

from __future__ import annotations

import os
from pathlib import Path

from oomguard.errors import OomguardError, edge
from oomguard.machine_report.collect import read_doctor_facts
from oomguard.machine_report.model import BetterWay, DoctorReport, EnforcementFacts, Finding
from oomguard.machine_report.rules.limits import limit_findings
from oomguard.machine_report.rules.memory import memory_findings
from oomguard.preparation.encoding.load_engine import require_core
from oomguard.supervision.launch import probe_enforcement
from oomguard.supervision.orphans import end_orphans, find_orphans, name_orphans

_TRIED = 64 << 20  # bytes


def survey_enforcement() -> EnforcementFacts:
    """Start a job that never begins, under the best backend available, and remove it. Raises: nothing."""
    found = probe_enforcement(_TRIED)
    better = tuple(BetterWay(way=refusal.way, why=refusal.why, do=refusal.do) for refusal in found.refusals)
    return EnforcementFacts(way=found.way, cannot=found.cannot, better=better)


_THIS_MACHINE = Path("/")


@edge
def doctor(*, root: Path = _THIS_MACHINE) -> DoctorReport:
    """Check this machine, and try how `oomguard run` would enforce a budget: a cgroup is made and removed.

    Under another `root`, such as a copy of another machine's /proc and /sys, nothing is tried. Raises: nothing.
    """
    facts = read_doctor_facts(survey_enforcement() if root == _THIS_MACHINE else None, root)
    left = _left_of_runs() if root == _THIS_MACHINE else []
    encoder = [_encoder()] if root == _THIS_MACHINE else []
    return DoctorReport(
        findings=(
            *memory_findings(facts.memory), *limit_findings(facts), *encoder, *left,
        ),
        facts=facts,
    )  # fmt: skip


def clean() -> list[str]:
    """End what is left of runs whose supervisor and reaper were killed together; says what. Raises: nothing."""
    orphans = find_orphans(of_all_users=os.geteuid() == 0)
    if not orphans:
        return ["nothing is left of earlier runs"]
    left = end_orphans(orphans)
    ended = [orphan for orphan in orphans if orphan not in left]
    return [f"ended {name_orphans(ended)}"] * bool(ended) + [f"could not be ended: {name_orphans(left)}"] * bool(left)


def _encoder() -> Finding:
    try:
        return Finding(topic="prepare", text=f"encodes with its native core ({require_core()})")
    except ImportError as error:
        return Finding(topic="prepare", text=f"cannot encode: {error}", fine=False, do="pip install tiktoken")
    except OomguardError as error:
        text = f"encodes with tiktoken, some 30 times slower than its native core: {error}"
        return Finding(topic="prepare", text=text, fine=False, do=error.do)


def _left_of_runs() -> list[Finding]:
    orphans = find_orphans(of_all_users=os.geteuid() == 0)
    if not orphans:
        return []
    text = f"{name_orphans(orphans)}: left over from a run whose supervisor and reaper were killed; it has no limit"
    return [Finding(topic="run", text=text, fine=False, do="oomguard doctor --clean")]
