"""Really profile programs of 30 to 250 MiB, whose peak, lines and ends are known."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from oomguard.kernel.proc.memory import TreeMemory
from oomguard.profiling.api import read_recording
from tests.live.guarded import MIB, OOMGUARD, WAYS, wait_for
from tests.live.profiled import lines_of_text, oomguard, profile, python
from tests.live.run_cases import environment

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("nothing_is_left")]

# It says itself what its three processes hold while all stand still; the two children share its first 40 MiB.
TREE = """import os, time
def anonymous(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) << 10 for line in file if line.startswith("Pss_Anon:"))
held = bytearray(b"1") * (40 << 20)
ours, ready = os.pipe()
children = []
for size in (60 << 20, 20 << 20):
    child = os.fork()
    if child == 0:
        mine = bytearray(b"1") * size
        os.write(ready, b"1")
        time.sleep(60)
    children.append(child)
    os.read(ours, 1)
print(sum(map(anonymous, (os.getpid(), *children))))
time.sleep(0.2)
for child in children:
    os.kill(child, 9)
    os.waitpid(child, 0)
"""
SPIKE = """
import os, time
time.sleep(0.6)
if os.fork() == 0:
    if os.fork() == 0:
        held = bytearray(b"1") * (100 << 20)
        time.sleep(0.1)
        os._exit(0)
    os.wait()
    os._exit(0)
os.wait()
time.sleep(0.2)
"""
STAGES = """import oomguard, time
with oomguard.stage("load <b>"):
    held = bytearray(b"1") * (30 << 20)
    time.sleep(0.3)
with oomguard.stage("work"):
    time.sleep(0.3)
"""
GROWS = """import time
held = []
while True:
    held.append(bytearray(b"1") * (1 << 19) if sum(range(300_000)) else 0)  # some 50 MB a second
"""


@pytest.mark.parametrize("way", WAYS)
def test_peak_of_a_tree_is_each_page_once(tmp_path: Path, way: str) -> None:
    done, facts = profile(tmp_path, *python(tmp_path, TREE), way=way)
    truth = int(done.stdout)
    assert abs(facts["peak_unreclaimable"] / truth - 1) <= (0.01 if way == "cgroup" else 0.03)
    assert facts["largest_process"] < truth < facts["summed_rss"]  # neither is the peak, and each stands beside it


@pytest.mark.parametrize("way", WAYS)
def test_a_spike_between_two_looks(tmp_path: Path, way: str) -> None:
    _, facts = profile(tmp_path, *python(tmp_path, SPIKE), way=way)
    if way == "cgroup":
        assert facts["peak_unreclaimable"] >= 99 * MIB
    assert facts["peak_unreclaimable"] + facts["missed_at_most"] >= 100 * MIB


def test_growth_is_charged_to_the_line_and_in_a_child_too(tmp_path: Path) -> None:
    _, facts = profile(tmp_path, *python(tmp_path, TREE))
    grew = {line["line"]: line for line in facts["lines"] if line["file"].endswith("job.py")}
    assert grew[5]["source"] == 'held = bytearray(b"1") * (40 << 20)'
    assert grew[5]["grew_bytes"] == pytest.approx(40 * MIB, rel=0.25)
    assert grew[11]["grew_bytes"] == pytest.approx(80 * MIB, rel=0.25)
    assert sum(line["grew_bytes"] for line in facts["lines"]) <= facts["peak_unreclaimable"] + 2 * MIB


def test_stages_are_bands(tmp_path: Path) -> None:
    done, facts = profile(tmp_path, *python(tmp_path, STAGES))
    assert done.returncode == 0
    (load, work) = facts["stages"]
    assert (load["name"], work["name"]) == ("load <b>", "work")
    assert load["end"] - load["begin"] >= 0.3
    assert load["end"] <= work["begin"] < work["end"]


@pytest.mark.parametrize(
    ("command", "code"),
    [(["sh", "-c", "exit 7"], 7), (["sh", "-c", "kill -TERM $$"], 143), (["no-such-program"], 127)],
)
def test_the_exit_status_is_the_commands(tmp_path: Path, command: list[str], code: int) -> None:
    done = oomguard(tmp_path, "profile", "-o", "r.jsonl", "--", *command)
    assert done.returncode == code
    assert done.stdout == ""


def test_a_job_that_is_killed_leaves_a_whole_recording(tmp_path: Path) -> None:
    grow = GROWS.replace("while True", "while len(held) < 120") + "import os\nos.kill(os.getpid(), 9)\n"
    done, facts = profile(tmp_path, *python(tmp_path, grow))
    assert (done.returncode, facts["exit_code"]) == (137, 137)
    assert "exit status 137 (SIGKILL)" in " ".join(oomguard(tmp_path, "report", "r.jsonl").stdout.split())
    assert facts["peak_unreclaimable"] >= 60 * MIB
    shown = oomguard(tmp_path, "report", "r.jsonl", "--json")
    told = json.loads(shown.stdout)
    for key in ("peak_unreclaimable", "missed_at_most", "lines", "exit_code", "forecast", "stages", "samples"):
        assert told[key] == facts[key], key


def test_a_profiler_that_is_killed_leaves_a_recording_to_the_last_second(tmp_path: Path) -> None:
    for _ in range(6):  # on a busy machine it may have waited for its turn when it was killed
        profiler = subprocess.Popen(
            [*OOMGUARD, "profile", "-o", "r.jsonl", *python(tmp_path, GROWS)],
            cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL,
        )  # fmt: skip
        with profiler:
            tree = TreeMemory(profiler.pid)
            wait_for(lambda: tree.summed_rss() > 120 * MIB, seconds=60)  # noqa: B023 - of which 40 are the profiler's
            profiler.kill()
            died = time.time()
        told = read_recording(tmp_path / "r.jsonl")
        assert told.end is None
        if (missing := died - (told.head.began + told.timeline[-1].seconds)) < 1.0:
            break
    assert missing < 1.0
    assert told.peaks.peak_unreclaimable >= 20 * MIB
    assert told.lines[0].line == 4
    assert "before the program did" in " ".join(oomguard(tmp_path, "report", "r.jsonl").stdout.split())


def test_what_runs_already_is_profiled_and_left_alone(tmp_path: Path) -> None:
    stays = "import os\nwhile not os.path.exists('seen'): time.sleep(0.05)\n"
    (tmp_path / "job.py").write_text(GROWS.replace("while True", "while len(held) < 160") + stays)

    def is_seen() -> bool:
        recording = tmp_path / "r.jsonl"
        return recording.exists() and read_recording(recording).peaks.peak_unreclaimable >= 80 * MIB

    with subprocess.Popen([sys.executable, "job.py"], cwd=tmp_path) as job, ThreadPoolExecutor(1) as beside:
        held = TreeMemory(job.pid)
        wait_for(lambda: held.summed_rss() > 20 * MIB, seconds=60)
        profiled = beside.submit(profile, tmp_path, "--pid", str(job.pid))
        try:
            wait_for(is_seen, seconds=60)
        finally:
            (tmp_path / "seen").touch()
        done, facts = profiled.result()
    assert (done.returncode, job.returncode, facts["exit_code"]) == (0, 0, None)
    assert facts["peak_unreclaimable"] >= 80 * MIB
    assert {"held before the first sample"} <= {line["file"] for line in facts["lines"]}
    assert oomguard(tmp_path, "profile", "--pid", str(job.pid)).returncode == 125


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_ends_the_profile_of_what_runs_already_sees_it_and_the_process_goes_on(tmp_path: Path, number: int) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as job:
        profiler = subprocess.Popen(
            [*OOMGUARD, "profile", "-o", "p.jsonl", "--pid", str(job.pid)],
            cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        with profiler:
            assert profiler.stderr is not None
            assert "recording" in profiler.stderr.readline()
            wait_for(lambda: catches(profiler.pid, signal.SIGTERM))
            profiler.send_signal(number)
            assert "detached" in profiler.stderr.read()
        assert job.poll() is None
        job.communicate(b"\n")


def catches(pid: int, number: int) -> bool:
    caught = Path(f"/proc/{pid}/status").read_text().partition("SigCgt:")[2].split()[0]
    return bool(int(caught, 16) >> (number - 1) & 1)


def test_a_job_that_uses_up_what_is_available_is_ended_first(tmp_path: Path) -> None:
    """The cgroup around it stands for a machine of 150 MiB: the profile is there to read afterwards."""
    inner = [*OOMGUARD, "profile", "-o", "r.jsonl", *python(tmp_path, GROWS)]
    done = oomguard(tmp_path, "run", "--max-rss", "150M", "--quiet", "--", *inner)
    assert done.returncode == 137, done.stderr
    told = read_recording(tmp_path / "r.jsonl")
    assert told.end is not None
    assert "that was available" in told.end.stopped
    assert told.head.available < 180 * MIB  # of the 169 that the guard around it allows


def test_a_recording_takes_no_other_file_s_place_and_a_full_disk_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("dear notes")
    refused = oomguard(tmp_path, "profile", "-o", "notes.txt", "--", "true")
    assert (refused.returncode, "not a recording" in refused.stderr) == (125, True)
    assert (tmp_path / "notes.txt").read_text() == "dear notes"
    for _ in range(2):
        assert oomguard(tmp_path, "profile", "-o", "r.jsonl", "--", "true").returncode == 0
    full = oomguard(tmp_path, "profile", "-o", "/dev/full", "--", "true")
    assert full.returncode == 0
    assert "the recording is incomplete" in " ".join(full.stderr.split())
    page = oomguard(tmp_path, "report", "r.jsonl", "--html", "/dev/full")
    assert (page.returncode, "could not write /dev/full" in page.stderr) == (1, True)


def test_a_job_of_ours(tmp_path: Path) -> None:
    text = lines_of_text(tmp_path, 1000)
    done, facts = profile(tmp_path, "prepare", str(text), "--out", "tokens", "--quiet")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tokens").is_dir()
    assert facts["peak_unreclaimable"] > 10 * MIB


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["profile"], "nothing to profile"),
        (["profile", "python", "x.py"], "-- python x.py"),
        (["profile", "--"], "no program after --"),
        (["profile", "--pid", "x"], "is not a whole number"),
        (["profile", "-o", "nowhere/r", "--", "true"], "cannot be written"),
        (["report", "nothing.jsonl"], "there is no recording"),
        (["report", "/dev/null"], "not a regular file"),
        (["report", "."], "not a regular file"),
    ],
)
def test_wrong_arguments(tmp_path: Path, arguments: list[str], says: str) -> None:
    done = oomguard(tmp_path, *arguments)
    assert done.returncode not in (0, 137)
    assert says in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == []


def test_no_device_is_taken_away_where_a_command_cannot_start(tmp_path: Path) -> None:
    (tmp_path / "nowhere").symlink_to("/dev/null")
    done = oomguard(tmp_path, "profile", "-o", "nowhere", "--", "no-such-program")
    assert (done.returncode, (tmp_path / "nowhere").is_symlink()) == (127, True)


def test_with_json_there_is_only_json(tmp_path: Path) -> None:
    done = oomguard(tmp_path, "profile", "--json", "-o", "r.jsonl", "--", "true")
    assert json.loads(done.stderr)["command"] == ["true"]
