"""Each command in places where little is as usual: no umask, no TMPDIR, no HOME, another terminal, another /proc.

It ends with a status of its own, without a traceback, and under umask 0 root makes nothing that others may write. Nor
is a Python module imported that lies in the working directory.

    python -m tests.faults.places [FEATURE...]
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.campaign import Campaign
from tests.faults.features import FEATURES, OOMGUARD, Feature

MORE = [
    Feature("swap --dry-run", [*OOMGUARD, "swap", "--size", "64M", "--dry-run"], frozenset({0}), frozenset({1})),
    Feature("hook", [*OOMGUARD, "hook", "bash"], frozenset({0}), frozenset({1})),
    Feature("hook --install", [*OOMGUARD, "hook", "bash", "--install"], frozenset({0}), frozenset({1})),
    Feature(
        "prepare --job-only",
        [*OOMGUARD, "prepare", "text", "--out", "out", "--job-only", "--job-file", "new.json"],
        frozenset({0}),
        frozenset({1}),
    ),
    Feature("work", [*OOMGUARD, "work", "job.json"], frozenset({0}), frozenset({1})),
    Feature("finish", [*OOMGUARD, "finish", "job.json"], frozenset({0, 1}), frozenset({1})),
]


@dataclass(frozen=True, slots=True)
class Place:
    """What is set up around a command: a shell line before it, and its environment (None: without that variable)."""

    before: str = ""
    environment: dict[str, str | None] = field(default_factory=dict)
    mounts: bool = False  # needs a mount namespace of its own
    time: bool = False  # needs a time namespace
    pids: bool = False  # in a PID namespace, with the /proc of another one


PLACES = {
    "umask 0": Place("umask 0"),
    "umask 077": Place("umask 077"),
    "TMPDIR is missing": Place(environment={"TMPDIR": "/proc/nowhere/at/all"}),
    "TMPDIR is full": Place(
        "mkdir -p tmp; mount -t tmpfs -o size=4k d tmp; cat /dev/zero >tmp/x 2>/dev/null; export TMPDIR=$PWD/tmp",
        mounts=True,
    ),
    "all of /tmp is full": Place(
        "mount -t tmpfs -o size=4k d /var/tmp; mount -t tmpfs -o size=4k d /dev/shm; cat /dev/zero >/var/tmp/x 2>/dev/null;"
        " cat /dev/zero >/dev/shm/x 2>/dev/null; export TMPDIR=/var/tmp",
        mounts=True,
    ),
    "HOME is unset": Place(environment={"HOME": None}),
    "HOME is missing": Place(environment={"HOME": "/proc/nowhere/at/all"}),
    "HOME is no folder": Place(environment={"HOME": "/dev/null"}),
    "a Latin-1 terminal": Place(environment={"PYTHONIOENCODING": "latin-1", "LC_ALL": "C", "PYTHONUTF8": "0"}),
    "an ASCII terminal": Place(
        environment={"PYTHONIOENCODING": None, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ),
    "no environment": Place(environment=dict.fromkeys(os.environ)),
    "another time namespace": Place(time=True),
    "no /proc but of processes": Place("mount -t proc -o subset=pid proc /proc", mounts=True),
    "another PID namespace's /proc": Place(pids=True),
    "no /proc": Place("mount -t tmpfs d /proc", mounts=True),
    "no /sys": Place("mount -t tmpfs d /sys; mount -t tmpfs d /dev/shm", mounts=True),
    "/sys may not be written": Place("mount -t tmpfs d /sys && mount -o remount,ro /sys", mounts=True),
    "modules of another user's": Place(
        "for name in oomguard json typing numpy psutil typer rich tiktoken pyarrow sitecustomize; do"
        ' echo "raise SystemExit(77)" >$name.py; done',
        environment={"PYTHONSAFEPATH": None},
    ),
    "no such working directory": Place("mkdir gone; cd gone; rmdir ../gone"),
}
_GONE = "no such working directory"  # there no command can do what it is asked to


def make_campaign(folder: Path) -> Campaign:
    """The inputs, with a name that few terminals can show, and a job that was planned."""
    campaign = Campaign(folder, seed=1)
    name = campaign.given / "text" / "数据 é.txt"
    name.write_text("a word " * 1000)
    return campaign


def run(campaign: Campaign, feature: Feature, name: str) -> tuple[int, list[str], str]:
    """One command in one place; gives its status, what was wrong, and what it said."""
    place = PLACES[name]
    with tempfile.TemporaryDirectory(dir=campaign.folder, ignore_cleanup_errors=True) as at:
        work = campaign.make_work(Path(at))
        if feature.name in ("work", "finish"):
            planned = subprocess.run(
                [*OOMGUARD, "prepare", "text", "--out", "out", "--job-only"],
                cwd=work, env=campaign.environment("0"), capture_output=True, check=False,
            )  # fmt: skip
            assert planned.returncode == 0, planned.stderr
        before = set(work.rglob("*"))
        environment = {**campaign.environment("0", Path(at)), **place.environment}
        # As the installed command does, Python looks for no module in the working directory.
        python, *rest = feature.command
        command = ["sh", "-c", f'{place.before or ":"}; exec "$@"', "sh", python, "-P", *rest]
        if place.time:
            command = ["unshare", "-T", "--fork", "--monotonic", "10000000", "--boottime", "10000000", *command]
        if place.pids:
            command = ["unshare", "--pid", "--fork", *command]
        if place.mounts:
            command = ["unshare", "-m", *command]
        done = subprocess.run(
            command, cwd=work, env={key: value for key, value in environment.items() if value is not None},
            capture_output=True, stdin=subprocess.DEVNULL, timeout=120, check=False,
        )  # fmt: skip
        said = done.stderr.decode(errors="replace")
        wrong = []
        if done.returncode not in feature.right | feature.failed and not (
            name == _GONE and done.returncode in (1, 2, 125)
        ):
            wrong.append(f"status {done.returncode}")
        if "this is a bug" in said or ("Traceback" in said and feature.name != "budget()"):
            wrong.append("traceback")
        if done.returncode in feature.failed - feature.right and "error" not in said:
            wrong.append("failed without a word")
        wrong += [f"{path.name} may be written by others" for path in set(work.rglob("*")) - before if _is_open(path)]
        return done.returncode, wrong, said


def _is_open(path: Path) -> bool:
    status = path.lstat()
    return not stat.S_ISLNK(status.st_mode) and bool(status.st_mode & stat.S_IWOTH)


def main() -> int:
    """Try all, or the features that are named, and say what went wrong."""
    wanted = [one for one in [*FEATURES, *MORE] if not sys.argv[1:] or one.name in sys.argv[1:]]
    statuses: Counter[int] = Counter()
    bad = 0
    with tempfile.TemporaryDirectory(prefix="oomguard-places-") as folder:
        campaign = make_campaign(Path(folder))
        for feature in wanted:
            for name in PLACES:
                status, wrong, said = run(campaign, feature, name)
                statuses[status] += 1
                if wrong:
                    bad += 1
                    print(f"{feature.name}, {name}: {'; '.join(wrong)}: {said[-500:]}", flush=True)
    print(f"{statuses.total()} runs, {bad} wrong; statuses {dict(statuses)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
