"""Each flag of `run` means the same behind `run -- CMD`, `run prepare` and `prepare`: the table of docs/run.md.

Here as root, in a cgroup; each flag once more by polling, and as a plain user. In a guest: tests/vm/test_run.py.
"""

from __future__ import annotations

import json
import os
import signal
import site
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.live.flag_cases import ENDS_SLOWLY, FLAGS, try_flags
from tests.live.guarded import state, wait_for
from tests.live.run_cases import environment

pytestmark = [pytest.mark.live, pytest.mark.pairs]

MIB = 1 << 20
OOMGUARD = [sys.executable, "-m", "oomguard"]
# prepare, with memory that grows until somebody stops it: its own budget must not.
GROWING = """
import time
import oomguard.preparation.api as feature
from oomguard.cli.app import main

def prepare(options, **_):
    held = []
    while True:
        held.append(bytearray(b"x") * (1 << 20))
        time.sleep(0.002)

feature.prepare = prepare
main()
"""
TINY = (sys.executable, "-c", "import sys; x = bytearray(b'x') * (20 << 20); sys.exit(7)")
GROWS = (
    sys.executable,
    "-c",
    "import time; x = []\nwhile True: x.append(bytearray(b'x') * (1 << 20)); time.sleep(0.002)",
)
PLACES = ["run -- CMD", "run prepare", "prepare"]


def line(place: str, flags: list[str], *, grows: bool = False) -> list[str]:
    """The command line for one place of the table."""
    start = [sys.executable, "-c", GROWING] if grows and place != "run -- CMD" else OOMGUARD
    if place == "run -- CMD":
        return [*start, "run", *flags, "--", *(GROWS if grows else TINY)]
    job = ["prepare", "text.txt", "--out", "out"]
    return [*start, "run", *flags, *job] if place == "run prepare" else [*start, *job, *flags]


def start(folder: Path, place: str, *flags: str, grows: bool = False, env: dict[str, str] | None = None) -> Any:
    (folder / "text.txt").write_text("one two three\n" * 20)
    return subprocess.Popen(
        line(place, list(flags), grows=grows), cwd=folder, env={**environment(), **(env or {})},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def done(folder: Path, place: str, *flags: str, **options: Any) -> tuple[int, str, str]:
    run = start(folder, place, *flags, **options)
    out, err = run.communicate(timeout=120)
    return run.returncode, out, err


def expected(place: str) -> int:
    return 7 if place == "run -- CMD" else 0


@pytest.mark.parametrize("place", PLACES)
def test_max_rss_and_report(tmp_path: Path, place: str) -> None:
    code, _, err = done(tmp_path, place, "--max-rss", "200M", "--report", "r.json")
    assert code == expected(place), err
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["budget"] == 200 * MIB
    assert report["exit_code"] == expected(place)
    assert report["hard_limit"] == (225 if place == "run -- CMD" else 200) * MIB
    assert report["enforced_by"].startswith(("cgroup v", "systemd"))
    assert f"enforced by {report['enforced_by']}" in err
    assert len([said for said in err.splitlines() if "enforced by" in said]) == 1
    code, _, err = done(tmp_path, place, "--max-rss", "200M", "--report", "r.json")
    assert code == expected(place), "a report of ours is written anew"


@pytest.mark.parametrize("place", PLACES)
def test_a_percentage(tmp_path: Path, place: str) -> None:
    code, _, err = done(tmp_path, place, "--max-rss", "10%", "--report", "r.json")
    assert code == expected(place), err
    budget = json.loads((tmp_path / "r.json").read_text())["budget"]
    assert 100 * MIB < budget < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 10


@pytest.mark.parametrize(
    ("place", "way"), [*((place, way) for place in PLACES for way in ("cgroup", "polling")), (PLACES[0], "watchdog")]
)
def test_enforce(tmp_path: Path, place: str, way: str) -> None:
    code, _, err = done(tmp_path, place, "--max-rss", "200M", "--enforce", way, "--report", "r.json")
    assert code == expected(place), err
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["enforced_by"].startswith("cgroup" if way == "cgroup" else "watchdog")
    assert f"enforced by {'cgroup' if way == 'cgroup' else 'polling'}" in err


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("way", ["cgroup", "polling"])
def test_on_limit_stop(tmp_path: Path, place: str, way: str) -> None:
    flags = ("--max-rss", "200M", "--enforce", way, "--on-limit", "stop", "--grace", "1", "--report", "r.json")
    code, _, err = done(tmp_path, place, *flags, grows=True)
    assert code == 137, err
    report = json.loads((tmp_path / "r.json").read_text())
    # What keeps its budget itself has no reserve: the kernel may be the first to see that it does not.
    may_be = {"budget"} if place == "run -- CMD" or way == "polling" else {"budget", "kernel"}
    assert report["stopped_by"] in may_be


# As prepare, and as a program of the user's: asked to end, it takes a moment, and leaves files behind.
SLOW_PREPARE = f"""
import oomguard.preparation.api as feature
from oomguard.cli.app import main

def prepare(options, **_):
    exec({ENDS_SLOWLY!r}, {{}})

feature.prepare = prepare
main()
"""


def stopped_slowly(folder: Path, place: str, *flags: str, takes: str = "6") -> tuple[bool, bool]:
    """Whether it was asked to end, and whether it had the time to; by polling, where the supervisor alone stops it."""
    (folder / "text.txt").write_text("one two three\n")
    flags = ("--max-rss", "200M", "--enforce", "polling", *flags)
    job = ["prepare", "text.txt", "--out", "out"]
    command = {
        "run -- CMD": [*OOMGUARD, "run", *flags, "--", sys.executable, "-c", ENDS_SLOWLY],
        "run prepare": [sys.executable, "-c", SLOW_PREPARE, "run", *flags, *job],
        "prepare": [sys.executable, "-c", SLOW_PREPARE, *job, *flags],
    }[place]
    run = subprocess.run(
        command, cwd=folder, env={**environment(), "ENDS_AFTER": takes}, capture_output=True, text=True, timeout=120, check=False
    )  # fmt: skip
    assert run.returncode == 137, run.stderr
    return (folder / "asked").exists(), (folder / "ended").exists()


@pytest.mark.parametrize("place", PLACES)
def test_on_limit_kill(tmp_path: Path, place: str) -> None:
    assert stopped_slowly(tmp_path, place, "--on-limit", "kill") == (False, False)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("seconds", "ends", "takes"), [("0.1", False, "6"), ("60", True, "0.2")])
def test_grace(tmp_path: Path, place: str, seconds: str, ends: bool, takes: str) -> None:
    """Without the flag it would be 10 seconds."""
    assert stopped_slowly(tmp_path, place, "--grace", seconds, takes=takes)[1] is ends


def test_wait(tmp_path: Path) -> None:
    """Of what a command leaves behind; a prepare leaves nothing, and takes no such flag of its own."""
    assert FLAGS["--wait"](tmp_path, []) == []
    code, _, err = done(tmp_path, "run prepare", "--max-rss", "200M", "--wait")
    assert code == 0, err
    code, _, err = done(tmp_path, "prepare", "--max-rss", "200M", "--wait")
    assert code == 2
    assert "--wait" in err


HOLDS = (TINY[0], TINY[1], f"import time; {TINY[2].replace('sys.exit', 'time.sleep(1); sys.exit')}")  # to be seen
NO_FLAGS_OF_PROFILE = [
    "--max-rss=1G",
    "--on-limit=hold",
    "--grace=1",
    "--allow-swap",
    "--quiet",
    "--wait",
    "--report=r.json",
]


@pytest.mark.parametrize("flag", NO_FLAGS_OF_PROFILE)
def test_profile_refuses_what_it_does_not_do(flag: str) -> None:
    refused = subprocess.run(
        [*OOMGUARD, "profile", flag, "--", "true"], env=environment(), capture_output=True, text=True, check=False
    )
    assert refused.returncode == 125
    assert flag.partition("=")[0] in refused.stderr


@pytest.mark.parametrize(
    ("way", "tier"), [("auto", "cgroup v"), ("cgroup", "cgroup v"), ("polling", "samples of /proc")]
)
def test_profile_with_its_flags(tmp_path: Path, way: str, tier: str) -> None:
    env = {**environment(), "OOMGUARD_MAX_RSS": "64M", "OOMGUARD_REPORT": "r.json"}  # which are run's
    command = [*OOMGUARD, "profile", "--enforce", way, "--json", "-o", "p.oomguard", "--", *HOLDS]
    run = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 7, run.stderr
    profile = json.loads(run.stderr)
    assert profile["measured_by"].startswith(tier)
    assert profile["peak_unreclaimable"] > 10 * MIB
    assert {path.name for path in tmp_path.iterdir()} == {"p.oomguard"}


def test_each_flag_by_polling(tmp_path: Path) -> None:
    wrong = try_flags(tmp_path, ["--enforce", "polling"])
    assert wrong.pop("enforced_by") == ["watchdog"]
    assert wrong == {flag: [] for flag in FLAGS}


@pytest.mark.parametrize("place", PLACES)
def test_on_limit_hold(tmp_path: Path, place: str) -> None:
    """Frozen until somebody says what is to become of it."""
    run = start(
        tmp_path, place, "--max-rss", "200M", "--on-limit", "hold", "--grace", "0", "--report", "r.json", grows=True
    )
    try:
        wait_for(lambda: f"@oomguard-run-{run.pid}" in Path("/proc/net/unix").read_text(), seconds=60)
        assert run.poll() is None
        ended = subprocess.run(
            [*OOMGUARD, "release", str(run.pid), "--stop"],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        _, err = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode == 137
    assert f"oomguard release {run.pid} --stop" in err
    assert json.loads((tmp_path / "r.json").read_text())["held_unreclaimable"] > 150 * MIB


@pytest.mark.parametrize("place", PLACES)
def test_allow_swap(tmp_path: Path, place: str) -> None:
    """The kernel's limit of memory and swap together is larger by what was allowed."""
    flags = ("--max-rss", "200M", "--on-limit", "hold", "--allow-swap=64M", "--grace", "0")
    run = start(tmp_path, place, *flags, grows=True)
    try:
        found: list[Path] = []

        def find() -> bool:
            found[:] = Path("/sys/fs/cgroup/memory").rglob(f"oomguard-{run.pid}")
            return bool(found) and int((found[0] / "memory.limit_in_bytes").read_text()) < 1 << 40

        if not Path("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes").exists():
            pytest.skip("cgroup v1 with swap accounting is needed: boot with swapaccount=1")
        wait_for(find, seconds=60)
        limit = int((found[0] / "memory.limit_in_bytes").read_text())
        wait_for(lambda: int((found[0] / "memory.memsw.limit_in_bytes").read_text()) == limit + 64 * MIB)
    finally:
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=60)


@pytest.mark.parametrize("place", PLACES)
def test_json(tmp_path: Path, place: str) -> None:
    """Of run: the report, on standard error. Of prepare: its result, on standard output."""
    code, out, err = done(tmp_path, place, "--max-rss", "200M", "--json")
    assert code == expected(place), err
    if place == "prepare":
        assert json.loads(out)["schema"] == "oomguard.shard_set/1"
    else:
        assert json.loads(err.splitlines()[-1])["schema"] == "oomguard.run_outcome/1"


@pytest.mark.parametrize("place", PLACES)
def test_quiet(tmp_path: Path, place: str) -> None:
    code, _, err = done(tmp_path, place, "--max-rss", "200M", "--quiet")
    assert code == expected(place)
    assert err == ""


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("content", ["somebody's own notes", '{"schema": "another/1"}'])
def test_a_foreign_file_is_not_overwritten_and_nothing_runs(tmp_path: Path, place: str, content: str) -> None:
    (tmp_path / "r.json").write_text(content)
    code, _, err = done(tmp_path, place, "--max-rss", "200M", "--report", "r.json")
    assert code == (1 if place == "prepare" else 125)
    assert "not overwritten" in err
    assert (tmp_path / "r.json").read_text() == content
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", PLACES)
def test_the_environment_stands_for_the_flags(tmp_path: Path, place: str) -> None:
    env = {"OOMGUARD_MAX_RSS": "200M", "OOMGUARD_REPORT": "r.json"}
    code, _, err = done(tmp_path, place, env=env)
    assert code == expected(place), err
    assert json.loads((tmp_path / "r.json").read_text())["budget"] == 200 * MIB
    code, _, err = done(tmp_path, place, "--max-rss", "220M", env=env)
    assert code == expected(place), "a flag goes before the environment"
    assert json.loads((tmp_path / "r.json").read_text())["budget"] == 220 * MIB


def test_two_budgets_that_differ_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("one two three")
    command = [*OOMGUARD, "run", "--max-rss", "200M", "prepare", "text.txt", "--max-rss"]
    differ = subprocess.run(
        [*command, "300M"], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert differ.returncode == 125
    assert "200M for run, 300M for prepare" in differ.stderr
    same = subprocess.run(
        [*command, "200MiB"], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert same.returncode == 0, same.stderr


def test_prepare_without_a_budget_takes_80_percent_and_is_held(tmp_path: Path) -> None:
    code, _, err = done(tmp_path, "prepare", "--report", "r.json")
    assert code == 0, err
    report = json.loads((tmp_path / "r.json").read_text())
    assert "80% of" in err
    assert report["hard_limit"] == report["budget"]


@pytest.fixture(name="as_another_user")
def _as_another_user(tmp_path: Path) -> tuple[list[str], dict[str, str]]:
    """What comes before Python's arguments, and the environment, for a user without any right, who owns tmp_path."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == 0 and parent not in (Path("/"), Path("/tmp")):
            parent.chmod(0o755)
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    env = {**environment(), "HOME": str(tmp_path)}
    env["PYTHONPATH"] = os.pathsep.join([env["PYTHONPATH"], *site.getsitepackages()])
    start_itself = "import subprocess, sys, oomguard; subprocess.run([sys.executable, '-c', ''], check=True)"
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        tried = [*become, python, "-c", start_itself]
        if subprocess.run(tried, env=env, capture_output=True, check=False).returncode == 0:
            return [*become, python], env
    pytest.skip("another user cannot execute this Python: use one outside of /root")


def test_as_another_user_prepare_is_held_by_polling(
    tmp_path: Path, as_another_user: tuple[list[str], dict[str, str]]
) -> None:
    """Without any right: nothing is refused, nothing is only measured."""
    start_python, env = as_another_user
    (tmp_path / "text.txt").write_text("one two three\n" * 20)
    job = ["prepare", "text.txt", "--out", "out", "--max-rss", "250M", "--report", "r.json"]
    run = subprocess.run(
        [*start_python, "-m", "oomguard", *job],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "enforced by polling" in run.stderr
    assert json.loads((tmp_path / "r.json").read_text())["budget"] == 250 * MIB


def test_each_flag_as_another_user(tmp_path: Path, as_another_user: tuple[list[str], dict[str, str]]) -> None:
    start_python, env = as_another_user
    command = [*start_python, "-m", "tests.live.flag_cases", "result.json"]
    run = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    wrong = json.loads((tmp_path / "result.json").read_text())
    assert wrong.pop("enforced_by") == ["watchdog"]
    assert wrong == {flag: [] for flag in FLAGS}


def test_a_job_of_ours_below_profile_has_no_second_supervisor(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("one two three\n" * 20)
    run = subprocess.run(
        [*OOMGUARD, "profile", "--json", "prepare", "text.txt", "--out", "out", "--quiet"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "out/train.bin").exists()
    assert "oomguard-reaper" not in run.stderr


@pytest.mark.usefixtures("nothing_is_left")
def test_nothing_is_left_running(tmp_path: Path) -> None:
    """After SIGKILL to the supervisor of a prepare its job ends, and can be started again, which removes the rest."""
    run = start(tmp_path, "prepare", "--max-rss", "2G", grows=True)
    wait_for(lambda: Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text(), seconds=60)
    reaper = int(Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text())
    wait_for(lambda: Path(f"/proc/{reaper}/task/{reaper}/children").read_text())
    job = int(Path(f"/proc/{reaper}/task/{reaper}/children").read_text())
    run.kill()
    run.communicate()
    wait_for(lambda: state(job) in (None, "Z"))
    code, _, err = done(tmp_path, "prepare", "--max-rss", "2G")
    assert code == 0, err
