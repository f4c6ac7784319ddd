"""Check a machine's memory settings before a big job."""

from __future__ import annotations

from pathlib import Path

from oomguard.machine_report.collect import read_doctor_facts
from oomguard.machine_report.model import DoctorReport
from oomguard.machine_report.rules.limits import limit_findings
from oomguard.machine_report.rules.memory import memory_findings
from oomguard.machine_report.trial import survey_enforcement

_THIS_MACHINE = Path("/")


def doctor(*, root: Path = _THIS_MACHINE) -> DoctorReport:
    """Check this machine, and try how `oomguard run` would enforce a budget: a cgroup is made and removed.

    Under another `root`, such as a copy of another machine's /proc and /sys, nothing is tried. Raises: nothing.
    """
    facts = read_doctor_facts(survey_enforcement() if root == _THIS_MACHINE else None, root)
    return DoctorReport(findings=(*memory_findings(facts.memory), *limit_findings(facts)), facts=facts)
