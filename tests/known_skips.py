"""Every skip of a run, listed with its reason; one that tests/known_skips.toml does not know fails the run."""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

_FILE = Path(__file__).with_suffix(".toml")


def _command(*names: str) -> Callable[[], bool]:
    return lambda: any(shutil.which(name) for name in names)


def _cgroup_mount(kind: str, *options: str) -> bool:
    """Say if a hierarchy of that kind is mounted, with all of these options."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, _, seen, seen_options, *_ = line.split(" ")
        if seen == kind and set(options) <= set(seen_options.split(",")):
            return True
    return False


def _kernel_log() -> bool:
    try:
        os.close(os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def _pyarrow(major: int) -> bool:
    return int(version("pyarrow").split(".")[0]) >= major


# What a test can need -> is it here?
HERE: dict[str, Callable[[], bool]] = {
    "root": lambda: os.geteuid() == 0,
    "plain user": lambda: os.geteuid() != 0,
    "data": lambda: "OOMGUARD_DATA" in os.environ,
    "OOMGUARD_VM": lambda: os.environ.get("OOMGUARD_VM") == "1",
    "cgroup v1": lambda: _cgroup_mount("cgroup", "memory", "rw"),
    "cgroup v2": lambda: _cgroup_mount("cgroup2", "rw"),
    "writable cgroupfs": lambda: _cgroup_mount("cgroup", "memory", "rw") or _cgroup_mount("cgroup2", "rw"),
    "kernel log": _kernel_log,
    "chromium": _command("chromium", "chromium-browser", "google-chrome"),
    "pyarrow 26": lambda: _pyarrow(26),
    "xz": _command("xz"),
    "zstd": _command("zstd"),
    "mkfs.ext4": _command("mkfs.ext4"),
    "mkfs.xfs": _command("mkfs.xfs"),
    "mkfs.btrfs": _command("mkfs.btrfs"),
    "strace": _command("strace"),
    "make": _command("make"),
    "tmux": _command("tmux"),
    "shells": lambda: all(shutil.which(shell) for shell in ("bash", "zsh", "fish")),
}


def why_unknown(reason: str, here: dict[str, Callable[[], bool]] = HERE) -> str | None:
    """Say what is wrong with a skip. None: it is known, and what it needs is missing."""
    for entry in tomllib.loads(_FILE.read_text(encoding="utf-8"))["skip"]:
        if re.match(entry["reason"], reason):
            needs = entry.get("needs", [])
            if needs and all(here[need]() for need in needs):
                return f"this machine has what it needs: {', '.join(needs)}"
            return None
    return f"not in {_FILE.parent.name}/{_FILE.name}"


class SkipReport:
    """Collects the skips of a run. OOMGUARD_SKIPS names a file to which they are added too, for runs in several parts."""

    def __init__(self) -> None:
        self._skips: Counter[tuple[str, str]] = Counter()
        self._unknown: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self._note(report.nodeid, report.longrepr)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._note(report.nodeid, report.longrepr)

    def _note(self, test: str, why: object) -> None:
        reason = (why[2] if isinstance(why, tuple) else str(why)).removeprefix("Skipped: ")
        self._skips[test.split("::", maxsplit=1)[0], reason] += 1
        if wrong := why_unknown(reason):
            self._unknown[reason] = wrong

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._unknown and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if self._skips and (file := os.environ.get("OOMGUARD_SKIPS")):
            with Path(file).open("a", encoding="utf-8") as out:
                out.writelines(f"{line}\n" for line in self._lines())

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._skips:
            terminalreporter.section("skipped")
        for line in self._lines():
            terminalreporter.write_line(line)
        for reason, wrong in self._unknown.items():
            terminalreporter.write_line(f"FAILED: a skip that is not known ({wrong}): {reason}", red=True)

    def _lines(self) -> list[str]:
        return [f"skipped {count:3} in {file}: {reason}" for (file, reason), count in sorted(self._skips.items())]
