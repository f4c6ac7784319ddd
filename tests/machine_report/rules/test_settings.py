"""Kernel settings: each entry of the table costs something at some value, and nothing at the kernel's own default."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oomguard.machine_report.api import doctor
from oomguard.machine_report.rules.limits import SETTINGS, KernelSetting, setting_findings

if TYPE_CHECKING:
    from pathlib import Path

# Linux Documentation/admin-guide/sysctl/vm.rst
DEFAULTS = {
    "proc/sys/vm/swappiness": 60,
    "proc/sys/vm/panic_on_oom": 0,
    "proc/sys/vm/oom_kill_allocating_task": 0,
}


def test_the_kernels_defaults_cost_nothing() -> None:
    assert {setting.file for setting in SETTINGS} == set(DEFAULTS)
    assert setting_findings(DEFAULTS) == []


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.topic)
def test_each_setting_costs_something_at_0_1_or_2_and_its_command_ends_that(setting: KernelSetting) -> None:
    bad = [value for value in (0, 1, 2) if setting.costs(value) is not None]
    assert bad
    (finding,) = setting_findings({setting.file: bad[0]})
    assert not finding.fine
    assert finding.do == setting.do
    assert setting.do.startswith(f"sudo sysctl {setting.file.removeprefix('proc/sys/').replace('/', '.')}=")
    assert setting.costs(int(setting.do.rpartition("=")[2])) is None


def test_they_are_read_from_another_machines_files(tmp_path: Path) -> None:
    """What is not there, or not a number, is no line."""
    vm = tmp_path / "proc/sys/vm"
    vm.mkdir(parents=True)
    (vm / "swappiness").write_text("0\n")
    (vm / "panic_on_oom").write_text("?\n")
    report = doctor(root=tmp_path)
    assert report.facts.settings == {"proc/sys/vm/swappiness": 0}
    assert [finding.topic for finding in report.findings if finding.topic in ("swappiness", "panic", "victim")] == [
        "swappiness"
    ]
