"""What this machine would do to a big job."""

from __future__ import annotations

from pathlib import Path

from oomguard.linux.doctor_facts import read_doctor_facts
from oomguard.linux.enforcement_survey import survey_enforcement
from oomguard.planning.doctor_limits import limit_findings
from oomguard.planning.doctor_memory import memory_findings
from oomguard.results.doctor_report import DoctorReport

_THIS_MACHINE = Path("/")


def doctor(*, root: Path = _THIS_MACHINE) -> DoctorReport:
    """Look at this machine, and try how `oomguard run` would hold a job: a cgroup is made and removed.

    Under another `root`, such as a copy of somebody's /proc and /sys, nothing is tried. Raises: nothing.
    """
    facts = read_doctor_facts(survey_enforcement() if root == _THIS_MACHINE else None, root)
    return DoctorReport(findings=(*memory_findings(facts.memory), *limit_findings(facts)), facts=facts)
