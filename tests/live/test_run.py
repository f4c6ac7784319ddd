"""Really run commands under budgets of 64 to 300 MiB: what they see, and what the report says."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.live.guarded import MIB, OOMGUARD, WAYS, child_of, run, started, state, wait_for
from tests.live.run_cases import CASES, Bystander, environment, faults, run_case

pytestmark = [pytest.mark.live, pytest.mark.pairs, pytest.mark.usefixtures("nothing_is_left")]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CASES)
def test_the_line_is_named_and_nobody_else_is_touched(tmp_path: Path, name: str, way: str) -> None:
    case = CASES[name]
    with Bystander() as bystander:
        for _ in range(4):  # on a busy machine the arguments may take longer to read than the job is held for them
            code, facts, said, _ = run_case(case, tmp_path, "--enforce", way)
            if not faults(case, code, facts):
                break
        assert faults(case, code, facts) == [], said
        assert not bystander.is_stopped()
        assert bystander.end() == []
    assert f"hog.py:{case.line}in{case.function}(" in "".join(said.split())  # a long path is folded
    if way == "cgroup":
        assert facts["peak_unreclaimable"] <= facts["hard_limit"] + 64 * MIB  # and the grace
        assert facts["peak_with_cache"] <= facts["hard_limit"] + 64 * MIB  # and the grace


def test_exit_codes_and_standard_streams_pass_through(tmp_path: Path) -> None:
    done, facts = run(tmp_path, "--", "bash", "-c", "cat; echo bad >&2; exit 3", stdin="hello\n")
    assert (done.returncode, done.stdout) == (3, "hello\n")
    assert "bad\n" in done.stderr
    assert (facts["exit_code"], facts["stopped_by"]) == (3, None)
    done, facts = run(tmp_path, "--", "bash", "-c", "kill -KILL $$")
    assert (done.returncode, facts["stopped_by"]) == (137, "signal")
    done, facts = run(tmp_path, "--", "bash", "-c", "kill -USR1 $$")
    assert (done.returncode, facts["stopped_by"]) == (128 + signal.SIGUSR1, "signal")


def test_what_cannot_be_run(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("echo from a shell\n")
    assert [run(tmp_path, "--", command)[0].returncode for command in ("no-such-program", "./plain", "/")] == [
        127,
        126,
        126,
    ]
    (tmp_path / "plain").chmod(0o755)
    done, _ = run(tmp_path, "--quiet", "--", "./plain")  # no "#!": as every shell does
    assert (done.returncode, done.stdout, done.stderr) == (0, "from a shell\n", "")
    done, _ = run(tmp_path)
    assert (done.returncode, "nothing to run" in done.stderr) == (125, True)
    done, _ = run(tmp_path, "--on-limit", "explode", "--", "true")
    assert done.returncode == 125
    assert "error: Invalid value for '--on-limit': 'explode' is not one of stop, hold, kill" in done.stderr


INHERITED = """
import os, signal
print(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
print(signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN)
with open("/proc/self/status") as status:
    print([line.split()[1] for line in status if line.startswith(("SigBlk", "SigIgn"))])
print(sorted(os.listdir("/proc/self/fd")))
print(os.getpgrp() == os.getpgid(int(os.environ["GUARD"])), os.getsid(0) == os.getsid(int(os.environ["GUARD"])))
print({key: value for key, value in sorted(os.environ.items()) if key != "GUARD"})
print(os.nice(0), open("/proc/self/oom_score_adj").read())
"""


def test_the_command_inherits_what_it_would_without_a_guard(tmp_path: Path) -> None:
    """Signals, descriptors, environment, priority: the same as from the same shell."""
    (tmp_path / "look.py").write_text(INHERITED)
    plain = f"GUARD=$$ exec {sys.executable} look.py"
    alone = subprocess.run(
        ["bash", "-c", plain], cwd=tmp_path, env=environment(), input="", capture_output=True, text=True, check=True
    )
    guarded = plain.replace("exec", f"exec {sys.executable} -m oomguard run --quiet --max-rss 100M --")
    under = subprocess.run(
        ["bash", "-c", guarded], cwd=tmp_path, env=environment(), input="", capture_output=True, text=True, check=True
    )
    # The mark by which what is left of a run is found is all that is new (docs/run.md).
    assert re.sub(r"'OOMGUARD_JOB': '[0-9:]+'(, )?", "", under.stdout) == alone.stdout


READ_MUCH = """
import os
held = bytearray(b"x") * (60 << 20)
read = 0
for _ in range(2):
    with open("much", "rb", buffering=0) as file:
        while piece := file.read(1 << 20):
            read += len(piece)
with open("written", "wb") as file:
    for _ in range(200):
        file.write(bytes(1 << 20))
print(read >> 20, len(held) >> 20)
"""


@pytest.mark.parametrize("way", WAYS)
def test_page_cache_is_never_a_reason(tmp_path: Path, way: str) -> None:
    """800 MB read, 200 MB written, 60 MiB held, under 100 MiB: it finishes."""
    with (tmp_path / "much").open("wb") as file:
        for _ in range(400):
            file.write(bytes(MIB))
    (tmp_path / "read.py").write_text(READ_MUCH)
    done, facts = run(tmp_path, "--", sys.executable, "read.py", way=way)
    assert (done.returncode, done.stdout) == (0, "800 60\n"), done.stderr
    assert 60 * MIB < facts["peak_unreclaimable"] < 80 * MIB
    if way == "cgroup":
        assert facts["peak_with_cache"] > 90 * MIB  # else this would have shown nothing


# Slowly: past the hard limit a write() is refused, and a program that ends of that has no open file any more.
IN_MEMORY = """
import sys, time
with open(sys.argv[1], "wb") as file:
    for _ in range(300):
        file.write(bytes(1 << 20))
        file.flush()
        time.sleep(0.005)
"""


@pytest.mark.parametrize("way", WAYS)
def test_files_in_dev_shm_count_and_are_named(tmp_path: Path, way: str) -> None:
    file = Path(f"/dev/shm/oomguard-test-{os.getpid()}")
    (tmp_path / "shm.py").write_text(IN_MEMORY)
    try:
        done, facts = run(tmp_path, "--", sys.executable, "shm.py", str(file), way=way)
    finally:
        file.unlink()
    assert (done.returncode, facts["stopped_by"]) == (137, "budget"), done.stderr
    assert facts["files_in_memory"][0][0] == str(file)
    assert facts["peak_shmem"] > 80 * MIB
    assert "tmpfs and /dev/shm count" in " ".join(facts["advice"])


# Its own pages stay where they are, and it asks for none once a write() was refused: else a page fault might meet the
# limit first, and whom the kernel parks for that waits for the guard.
REFUSED = """
import ctypes, os, sys
print(os.getpid(), flush=True)
sys.stdin.readline()
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
data = bytes(1 << 16)
assert ctypes.CDLL(None).mlockall(1) == 0  # MCL_CURRENT
try:
    while True:
        os.write(file, data)
except OSError:
    os.truncate(file, os.fstat(file).st_size - (1 << 20))
    os.write(1, b"refused")
    os._exit(1)
"""


def test_who_is_refused_memory_while_nobody_looks_is_told_why(tmp_path: Path) -> None:
    """With the guard asleep, a write() to /dev/shm fails on v1, and the job ends by itself; v2's kernel kills it."""
    file = Path(f"/dev/shm/oomguard-test-{os.getpid()}")
    (tmp_path / "shm.py").write_text(REFUSED)
    with started(tmp_path, "--report", "report.json", "--", sys.executable, "shm.py", str(file)) as guard:
        try:
            assert guard.stdout is not None
            assert guard.stdin is not None
            job = int(guard.stdout.readline())
            guard.send_signal(signal.SIGSTOP)
            wait_for(lambda: state(guard.pid) == "T")
            guard.stdin.write("\n")
            guard.stdin.flush()
            wait_for(lambda: state(job) in (None, "Z"))
            guard.send_signal(signal.SIGCONT)
            _, said = guard.communicate(timeout=30)
        finally:
            file.unlink(missing_ok=True)
    facts = json.loads((tmp_path / "report.json").read_text())
    if facts["enforced_by"] == "cgroup v1":
        assert (guard.returncode, facts["stopped_by"], facts["held_seconds"]) == (1, "budget", None), said
        assert "the kernel refused it memory beyond 116 MiB" in " ".join(said.split())
    else:
        assert (guard.returncode, facts["stopped_by"]) == (137, "kernel"), said


SHARED = """
import os, time
def spoil(held):
    for at in range(0, len(held), 4096):
        held[at] = 1
        if at % (1 << 20) == 0:
            time.sleep(0.002)  # so that a busy machine's guard looks meanwhile
    time.sleep(60)
def grow():
    more = []
    while True:
        more.append(bytearray(b"x") * (1 << 20))
held = bytearray(b"x") * (120 << 20)
children = []
for _ in range(2):
    children.append(os.fork())
    if children[-1] == 0:
        time.sleep(0.7)  # it is looked at meanwhile, while all of that is shared
        {child}
for child in children:
    os.waitpid(child, 0)
{parent}
"""
SHARING = {
    "spoil": SHARED.format(child="spoil(held)", parent=""),
    "grow": SHARED.format(child="os._exit(0)", parent="grow()"),
}


@pytest.mark.parametrize("function", SHARING)
def test_what_is_shared_is_found_out_anew(tmp_path: Path, function: str) -> None:
    """120 MiB in three processes are 120; 360 when each child has written to them, and 120 when both have ended."""
    (tmp_path / "share.py").write_text(SHARING[function])
    done, facts = run(tmp_path, "--", sys.executable, "share.py", way="watchdog", budget="200M")
    assert (done.returncode, facts["stopped_by"]) == (137, "budget"), done.stderr
    assert facts["held_seconds"] > 0.7
    assert 195 * MIB < facts["held_unreclaimable"] < 300 * MIB
    assert function in [frame["function"] for stack in facts["stacks"] for frame in stack["frames"]]


SLOW_GROWTH = """
import time
kept = []
with open("train.txt", "rb", buffering=0) as text:
    while piece := text.read(1 << 20):
        kept.append(piece + piece)
        time.sleep(0.03)
"""


def test_a_forecast_warns_early_and_once(tmp_path: Path) -> None:
    """Memory grows by two bytes a byte read: 400 MiB of input would need 800, and it says so at about a quarter."""
    with (tmp_path / "train.txt").open("wb") as file:
        file.truncate(400 * MIB)
    (tmp_path / "slow.py").write_text(SLOW_GROWTH)
    done, facts = run(tmp_path, "--", sys.executable, "slow.py", budget="300M")
    before, warning = " ".join(done.stderr.split()).split("warning:")  # once
    assert "stopped" not in before
    assert "assumes one pass" in warning.partition("stopped")[0]
    told = float(warning.partition("about ")[2].split()[0])
    assert 720 < told < 890  # 10 %: it is drawn from the beginning
    (opened,) = facts["inputs"]
    assert (opened["path"], opened["size"]) == (str(tmp_path / "train.txt"), 400 * MIB)
    assert 0.3 < opened["position"] / opened["size"] < 0.42
    assert any("the whole input needs" in line for line in facts["advice"])


@pytest.mark.alone
@pytest.mark.parametrize("way", WAYS)
def test_the_guard_costs_little(tmp_path: Path, way: str) -> None:
    """Under 40 MB, under 1 % of a core while far from the budget, and 150 ms of CPU until the command begins.

    Over /proc 170. That is where Python needs 55 to import Typer and Rich; a slower machine has as much more.
    """
    with started(tmp_path, "--quiet", "--", "sleep", "60", budget="1G", way=way) as guard:
        child_of(guard.pid)
        for _ in range(8):  # in the first, and on a busy machine, it may still be at its beginning
            before = cpu_ticks(guard.pid)
            time.sleep(1)
            spent = cpu_ticks(guard.pid) - before
            if spent <= 0.01 * os.sysconf("SC_CLK_TCK") + 1:
                break
        assert spent <= 0.01 * os.sysconf("SC_CLK_TCK") + 1
        status = Path(f"/proc/{guard.pid}/status").read_text()
        rss = int(status.partition("VmHWM:")[2].split()[0]) << 10
        assert rss < 40_000_000
        maps = Path(f"/proc/{guard.pid}/maps").read_text()
        assert [name for name in ("numpy", "pyarrow", "tiktoken", "gigatoken", "pydantic") if name in maps] == []
        guard.send_signal(signal.SIGTERM)
    best = min(cpu_to_begin(tmp_path, way) for _ in range(10))
    assert best < (0.17 if way == "watchdog" else 0.15) * max(1.0, cpu_of_python() / 0.055)


def cpu_of_python() -> float:
    """CPU seconds in which Python starts and imports what a command line is made of."""
    spent = []
    for _ in range(10):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", "import typer, rich"], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(spent)


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def cpu_to_begin(folder: Path, way: str) -> float:
    """CPU seconds of guard, reaper and command until the command runs: others that have the CPU do not count."""
    asks = r"cat /proc/$$/schedstat /proc/\$PPID/schedstat /proc/\$\$/schedstat"
    guarded = f'exec {" ".join(OOMGUARD)} run --quiet --max-rss 1G --enforce {way} -- sh -c "{asks}"'
    done = subprocess.run(
        ["sh", "-c", guarded], cwd=folder, env=environment(), capture_output=True, text=True, check=True
    )
    return sum(int(line.split()[0]) for line in done.stdout.splitlines()) / 1e9


def test_report_has_the_keys_that_programs_rely_on(tmp_path: Path) -> None:
    _, facts, said, _ = run_case(CASES["single"], tmp_path, "--json")
    assert json.loads(said) == facts  # and nothing else was said
    assert facts["schema"] == "oomguard.run_outcome/1"
    assert set(facts) == {
        "schema", "exit_code", "stopped_by", "enforced_by", "budget", "peak_unreclaimable", "peak_with_cache",
        "largest_process", "wall_seconds", "processes", "stacks", "inputs", "advice",
        # and beside what is promised
        "command", "hard_limit", "peak_shmem", "held_seconds", "held_unreclaimable", "look_seconds", "unread_stacks",
        "memory_maps", "files_in_memory", "oom_kills", "victim", "left_behind", "notes", "grown", "grown_since",
        "peak_at_most", "killed_later",
    }  # fmt: skip
    (stack,) = facts["stacks"]
    assert {"pid", "language", "frames"} <= set(stack)
    assert [set(frame) >= {"file", "line", "function", "arguments"} for frame in stack["frames"]] == [True, True]
    assert [frame["function"] for frame in stack["frames"]] == ["load", "<module>"]  # innermost first
    sizes = ("exit_code", "budget", "peak_unreclaimable", "peak_with_cache", "largest_process")
    assert [type(facts[key]) for key in sizes] == [int] * len(sizes)
    assert facts["held_seconds"] < facts["wall_seconds"]
