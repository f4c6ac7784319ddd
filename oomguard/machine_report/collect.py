"""Read what the doctor judges; nothing is changed by it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.kernel.logs.sources import survey_sources
from oomguard.kernel.machine import container_name, is_wsl, scheduler_job
from oomguard.machine_report.cgroup_facts import read_cgroup_facts
from oomguard.machine_report.killer_facts import read_killer_facts
from oomguard.machine_report.memory_facts import read_memory_facts
from oomguard.machine_report.model import DoctorFacts
from oomguard.machine_report.process_facts import read_oom_score_adj, read_stack_facts, read_ulimits

if TYPE_CHECKING:
    from oomguard.machine_report.model import EnforcementFacts


def read_doctor_facts(enforcement: EnforcementFacts | None, root: Path = Path("/")) -> DoctorFacts:
    """Read all of it now; `enforcement` comes from the caller, who tried it or did not. Raises: nothing."""
    return DoctorFacts(
        memory=read_memory_facts(root),
        cgroup=read_cgroup_facts(root),
        enforcement=enforcement,
        stacks=read_stack_facts(root),
        logs=tuple(survey_sources(root)),
        killers=read_killer_facts(root),
        ulimits=read_ulimits(root),
        oom_score_adj=read_oom_score_adj(root),
        container=container_name(root),
        scheduler=scheduler_job(),
        wsl=is_wsl(root),
    )
