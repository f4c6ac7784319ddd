"""`oomguard run -- COMMAND` in the virtual machine, on cgroup v2, as often as some minutes allow.

`python -m tests.vm.vmruns [SECONDS]` boots once and prints the table of benchmarks/run_campaign.py.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path

import benchmarks.run_campaign
from tests.live import flag_cases, run_cases
from tests.vm.machine import Machine
from tests.vm.test_swap import SCREENS

_PROGRAMS = ("single", "pool", "threads", "burst")
_SECONDS = 420


def share_programs(machine: Machine) -> None:
    """Give the guest the programs that break their budget, and what it takes to read their stacks."""
    machine.share_modules(*SCREENS, "pystack")
    spec = importlib.util.find_spec("pystack")
    assert spec is not None
    assert spec.origin is not None
    libraries = Path(spec.origin).parents[1] / "pystack.libs"
    shutil.copytree(libraries, machine.share / libraries.name)
    for module in (run_cases, flag_cases, benchmarks.run_campaign):
        assert module.__file__ is not None
        path = machine.share.joinpath(*module.__name__.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(module.__file__, path)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else _SECONDS
    programs = " ".join(f"--program {name}" for name in _PROGRAMS)
    campaign = f"python3 -m benchmarks.run_campaign --way cgroup {programs} --runs 50 --seconds {seconds}"
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder))
        share_programs(machine)
        command = f"cd /host; PYTHONDONTWRITEBYTECODE=1 {campaign} > /out/table.txt 2>&1; true"
        machine.run("runs", command, timeout=int(seconds) + 300, memory=1536)  # "burst" asks for 1 GiB
        print((machine.folder / "runs/table.txt").read_text())


if __name__ == "__main__":
    main()
