"""The doctor on machines that others captured, and on this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from oomguard.machine_report.api import doctor
from oomguard.preparation.encoding import native

if TYPE_CHECKING:
    from collections.abc import Callable

CAPTURES = Path("tests/captures/memcg").absolute()
MIB = 1 << 20

# capture -> (layout, read-only, own cgroup, words of its limit)
MACHINES = {
    "nested-v1": ("hybrid", False, "/sandbox/job1", "neither this cgroup nor any above it"),
    "hybrid": ("hybrid", False, "/system.slice/vm-run.service", "neither this cgroup nor any above it"),
    "container-bind-v1": ("v1", False, "/", "a cgroup above the visible ones is limited to 200 MiB"),
    "container-read-only-v2": ("v2", True, "/", "cgroup / is limited to 200 MiB"),
    "systemd-v2": ("v2", False, "/system.slice/vm-run.service", "neither this cgroup nor any above it"),
    "systemd-scope-v2": ("v2", False, "/system.slice/run-1.scope", "is limited to 250 MiB (memory.high"),
    "delegated-user-v2": ("v2", False, "/system.slice/run-u0.service", "is limited to 300 MiB"),
}


@pytest.mark.parametrize("capture", MACHINES)
def test_captured_machines(capture: str) -> None:
    layout, read_only, own, words = MACHINES[capture]
    report = doctor(root=CAPTURES / capture)
    cgroup = report.facts.cgroup
    assert (cgroup.layout, cgroup.read_only, cgroup.levels[0].name) == (layout, read_only, own)
    limits = [finding.text for finding in report.findings if finding.topic == "limit"]
    assert words in limits[0]
    assert report.facts.enforcement is None
    assert report.facts.memory.total


def test_killers_and_their_thresholds(tmp_path: Path) -> None:
    for pid, comm, arguments in (
        (7, "earlyoom", "/usr/bin/earlyoom\0-m\x004,2\0"),
        (8, "systemd-oomd", "/lib/systemd/systemd-oomd\0"),
    ):
        (tmp_path / f"proc/{pid}").mkdir(parents=True)
        (tmp_path / f"proc/{pid}/comm").write_text(f"{comm}\n")
        (tmp_path / f"proc/{pid}/cmdline").write_text(arguments)
    for folder, text in (
        ("usr/lib/systemd/oomd.conf.d", "SwapUsedLimit=70%\n"),
        ("etc/systemd/oomd.conf.d", "SwapUsedLimit=60%\n"),
    ):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / f"{folder[0]}.conf").write_text(text)
    (tmp_path / "etc/systemd/oomd.conf").write_text("SwapUsedLimit=99%\n")
    acts = {killer.name: killer.acts for killer in doctor(root=tmp_path).facts.killers}
    assert "less than 4% of memory" in acts["earlyoom"]
    assert "when 70% of memory" in acts["systemd-oomd"]  # the last by file name wins


def test_a_machine_that_says_nothing(tmp_path: Path) -> None:
    report = doctor(root=tmp_path)
    assert not report.fine
    assert report.facts.cgroup.layout == "none"
    json.dumps(report.to_json())


def run_doctor(*before: str) -> dict[str, Any]:
    root = str(Path(__file__).parents[2])
    command = [*before, sys.executable, "-m", "oomguard", "doctor", "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": root})
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def test_this_machine_is_told_as_its_own_files_tell_it() -> None:
    facts = run_doctor()["facts"]
    meminfo = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    assert facts["memory"]["total"] == int(meminfo["MemTotal"].split()[0]) << 10
    assert facts["memory"]["overcommit"] == int(Path("/proc/sys/vm/overcommit_memory").read_text())
    assert len(facts["memory"]["areas"]) == len(Path("/proc/swaps").read_text().splitlines()) - 1
    own = [line.split(":", 2)[2] for line in Path("/proc/self/cgroup").read_text().splitlines()]
    assert not facts["cgroup"]["levels"] or facts["cgroup"]["levels"][0]["name"] in own
    assert facts["enforcement"]["way"]


def test_strict_is_an_exit_code(oomguard: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    run = oomguard("doctor", "--strict", "--json")
    assert run.returncode == (0 if json.loads(run.stdout)["fine"] else 1)
    assert oomguard("doctor").returncode == 0


def test_it_says_which_engine_encodes(monkeypatch: pytest.MonkeyPatch) -> None:
    def line() -> dict[str, Any]:
        (found,) = [finding for finding in run_doctor()["findings"] if finding["topic"] == "prepare"]
        return dict(found)

    library = Path(native.__file__).with_name("libcore.so.1")
    if library.exists():
        found = line()
        assert found["fine"]
        assert found["text"] == f"encodes with its native core ({native.available_tiers()[-1].name.lower()})"
    monkeypatch.setenv("OOMGUARD_ENGINE", "tiktoken")
    found = line()
    assert not found["fine"]
    assert found["text"].startswith("encodes with tiktoken")
    assert found["do"] == "unset OOMGUARD_ENGINE"


@pytest.mark.live
def test_in_a_container_like_place_the_refusal_is_named() -> None:
    """A mount namespace whose cgroupfs is read-only, as Docker has it."""
    if os.geteuid() != 0:
        pytest.skip("making a mount namespace needs root")
    script = 'for m in $(awk \'$3 ~ "^cgroup" {print $2}\' /proc/self/mounts); do mount -o remount,bind,ro "$m"; done; exec "$@"'
    found = run_doctor("unshare", "--mount", "sh", "-c", script, "sh")
    assert found["facts"]["cgroup"]["read_only"]
    assert found["facts"]["enforcement"]["way"] == "watchdog"
    (line,) = [finding for finding in found["findings"] if "read-only here" in finding["text"]]
    assert not line["fine"]
    assert "docker run --memory" in line["do"]
