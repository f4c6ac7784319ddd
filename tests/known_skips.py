"""Every skip of a run, listed with its reason; one that tests/known_skips.toml does not know fails the run."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import tomllib
import unicodedata
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hatch_build import find_compiler
from oomguard.kernel.cgroup.directory import find_own_memcg
from oomguard.kernel.storage import is_in_memory, mount_of, punch_hole

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


def _writable_cgroupfs() -> bool:
    return _cgroup_mount("cgroup", "memory", "rw") or _cgroup_mount("cgroup2", "rw")


def _own_cgroup() -> Path | None:
    """The folder of this process's memory cgroup, where that is seen."""
    own = find_own_memcg()
    return own.path if own is not None and own.path.is_dir() else None


def _makes_cgroups() -> bool:
    own = _own_cgroup()
    if own is None:
        return False
    try:
        made = own / f"oomguard-probe-{os.getpid()}"
        made.mkdir()
        made.rmdir()
    except OSError:
        return False
    return True


def _swap_accounting() -> bool:
    own = _own_cgroup()
    return own is not None and (own / "memory.memsw.limit_in_bytes").exists()


def _device_files() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        try:
            os.mknod(f"{folder}/null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
            os.close(os.open(f"{folder}/null", os.O_WRONLY))
        except OSError:
            return False
    return True


def _mounts() -> bool:
    """Say if a file system on a loop device can be mounted: as root, and with a free loop device."""
    with tempfile.TemporaryDirectory() as folder:
        for command in (["mount", "-t", "tmpfs", "none", folder], ["umount", folder], ["losetup", "--find"]):
            if subprocess.run(command, capture_output=True, check=False).returncode:
                return False
    return True


def _holes() -> bool:
    with tempfile.TemporaryFile() as file:
        file.write(bytes(1 << 20))
        file.flush()
        os.fsync(file.fileno())
        before = os.fstat(file.fileno()).st_blocks
        return punch_hole(file.fileno(), 4096, 1 << 19) and os.fstat(file.fileno()).st_blocks < before


def _python_for_all() -> bool:
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", "import oomguard"]
    try:
        return subprocess.run(become, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _sanitizers() -> bool:
    compiler = find_compiler()
    if compiler is None:
        return False
    command = [*compiler, "-fsanitize=address,undefined", "-x", "c", "-", "-o", os.devnull]
    return (
        subprocess.run(command, input=b"int main(void) { return 0; }", capture_output=True, check=False).returncode == 0
    )


def _module(name: str) -> Callable[[], bool]:
    def is_here() -> bool:
        try:
            return importlib.util.find_spec(name) is not None
        except ModuleNotFoundError:  # what it is in is not there
            return False

    return is_here


# What a test can need -> is it here?
HERE: dict[str, Callable[[], bool]] = {
    "root": lambda: os.geteuid() == 0,
    "plain user": lambda: os.geteuid() != 0,
    "data": lambda: "OOMGUARD_DATA" in os.environ,
    "OOMGUARD_VM": lambda: os.environ.get("OOMGUARD_VM") == "1",
    "cgroup v1": lambda: _cgroup_mount("cgroup", "memory", "rw"),
    "cgroup v2": lambda: _cgroup_mount("cgroup2", "rw"),
    "writable cgroupfs": _writable_cgroupfs,
    "a cgroup that is seen": lambda: _own_cgroup() is not None,
    "a cgroup of its own": _makes_cgroups,
    "pids controller": lambda: _cgroup_mount("cgroup", "pids", "rw") or _cgroup_mount("cgroup2", "rw"),
    "swap accounting": _swap_accounting,
    "device files": _device_files,
    "mounts": _mounts,
    "holes": _holes,
    "4 GiB of disk": lambda: shutil.disk_usage(tempfile.gettempdir()).free >= 4 << 30,
    "/dev/shm": lambda: os.access("/dev/shm", os.W_OK),
    "tmpfs in /dev/shm": lambda: mount_of(Path("/dev/shm")).file_system == "tmpfs",
    "temporary files on a disk": lambda: not is_in_memory(Path(tempfile.gettempdir())),
    "a C library of its own": lambda: bool(re.search(r"/libc[.-]", Path("/proc/self/maps").read_text())),
    "a Python for all": _python_for_all,
    "older than Unicode 16": lambda: int(unicodedata.unidata_version.split(".")[0]) < 16,
    "cc": lambda: find_compiler() is not None,
    "sanitizers": _sanitizers,
    "tokenizers": _module("tokenizers"),
    "requests": _module("requests"),
    "botocore": _module("botocore"),
    "moto": _module("moto"),
    "google.auth": _module("google.auth"),
    "yaml": _module("yaml"),
    "huggingface_hub": _module("huggingface_hub"),
    "mistral_common": _module("mistral_common"),
    "kernel log": _kernel_log,
    "chromium": _command("chromium", "chromium-browser", "google-chrome"),
    "axe-core": lambda: any(
        Path(folder, "axe.min.js").is_file()
        for folder in (os.environ.get("OOMGUARD_AXE", "."), "node_modules/axe-core", "/usr/lib/node_modules/axe-core")
    ),
    "pyarrow 26": lambda: _pyarrow(26),
    "xz": _command("xz"),
    "zstd": _command("zstd"),
    "mkfs.ext4": _command("mkfs.ext4"),
    "mkfs.xfs": _command("mkfs.xfs"),
    "mkfs.btrfs": _command("mkfs.btrfs"),
    "strace": _command("strace"),
    "slurmctld": _command("slurmctld"),
    "slurmdbd": _command("slurmdbd"),
    "mariadbd": _command("mariadbd"),
    "unshare": _command("unshare"),
    "make": _command("make"),
    "tmux": _command("tmux"),
    "shells": lambda: all(shutil.which(shell) for shell in ("bash", "zsh", "fish")),
}


def why_unknown(reason: str, here: dict[str, Callable[[], bool]] = HERE) -> str | None:
    """Say what is wrong with a skip. None: it is known, and what it needs is missing."""
    for entry in tomllib.loads(_FILE.read_text(encoding="utf-8"))["skip"]:
        if matched := re.match(entry["reason"], reason):
            named = {name: text for name, text in matched.groupdict().items() if text}
            wanted: dict[str, Callable[[], bool]] = {need: here[need] for need in entry.get("needs", [])}
            if "module" in named:
                wanted[named["module"]] = _module(named["module"])
            if "path" in named:
                wanted[named["path"]] = Path(named["path"]).exists
            if "only_the_test_knows" in entry or not all(is_here() for is_here in wanted.values()):
                return None
            return f"this machine has what it needs: {', '.join(wanted)}"
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
