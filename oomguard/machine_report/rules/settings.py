"""Kernel settings that are one number in one file, each with what it costs a big job. A new one is an entry here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.machine_report.model import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSetting:
    """One setting. Source: Linux Documentation/admin-guide/sysctl/vm.rst."""

    topic: str
    file: str  # below /
    costs: Callable[[int], str | None]  # in words; None: nothing, and there is no line
    do: str


SETTINGS = (
    KernelSetting(
        topic="swappiness",
        file="proc/sys/vm/swappiness",
        costs=lambda value: "vm.swappiness is 0: programs are killed while swap is free" if value == 0 else None,
        do="sudo sysctl vm.swappiness=60",
    ),
    KernelSetting(
        topic="panic",
        file="proc/sys/vm/panic_on_oom",
        costs=lambda value: "vm.panic_on_oom is set: the machine stops, and no process is killed" if value else None,
        do="sudo sysctl vm.panic_on_oom=0",
    ),
    KernelSetting(
        topic="victim",
        file="proc/sys/vm/oom_kill_allocating_task",
        costs=lambda value: (
            "vm.oom_kill_allocating_task is set: whoever asks for memory is killed, not who holds most"
            if value
            else None
        ),
        do="sudo sysctl vm.oom_kill_allocating_task=0",
    ),
)


def setting_findings(settings: Mapping[str, int]) -> list[Finding]:
    """Judge what was read, by file; a file that is not there is no finding."""
    findings = []
    for setting in SETTINGS:
        text = setting.costs(settings[setting.file]) if setting.file in settings else None
        if text is not None:
            findings.append(Finding(topic=setting.topic, text=text, fine=False, do=setting.do))
    return findings
