"""How jobs and their guards end: by signals, held and released, killed, with daemons, and with the kernel faster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.live.guarded import MIB, OOMGUARD, WAYS, child_of, read_until, run, started, state, wait_for
from tests.live.run_cases import environment

pytestmark = [pytest.mark.live, pytest.mark.pairs, pytest.mark.usefixtures("nothing_is_left")]


ESCAPE = """
import os, sys, time
if os.fork():
    time.sleep(60)
os.setsid()
if os.fork():
    os._exit(0)
os.setpgid(0, 0)
def hide(path):
    held = []
    while True:
        held.append(bytearray(b"x") * (1 << 20))
hide("train.txt")
"""


@pytest.mark.parametrize("way", WAYS)
def test_a_daemon_does_not_get_away(tmp_path: Path, way: str) -> None:
    """Another session, another group, its parent gone: it is found, named, and ended with the rest."""
    (tmp_path / "escape.py").write_text(ESCAPE)
    done, facts = run(tmp_path, "--", sys.executable, "escape.py", way=way)
    assert (done.returncode, facts["stopped_by"]) == (137, "budget"), done.stderr
    assert "hide" in [frame["function"] for frame in facts["stacks"][0]["frames"]]
    assert not [pid for pid in (process["pid"] for process in facts["processes"]) if state(pid) not in (None, "Z")]


CLEANS_UP = """
import signal, sys
def stop(number, frame):
    raise SystemExit(0)
signal.signal(signal.SIGTERM, stop)
held = []
try:
    while True:
        held.append(bytearray(b"x") * (1 << 20))
finally:
    more = bytearray(b"x") * (4 << 20)
    open("cleaned", "w").write("up")
"""


@pytest.mark.parametrize("way", WAYS)
def test_grace_is_enough_to_clean_up(tmp_path: Path, way: str) -> None:
    """SIGTERM comes with some memory for `finally`; the exit status stays 137. With kill there is neither."""
    (tmp_path / "clean.py").write_text(CLEANS_UP)
    done, _ = run(tmp_path, "--", sys.executable, "clean.py", way=way)
    assert (done.returncode, (tmp_path / "cleaned").read_text()) == (137, "up")
    (tmp_path / "cleaned").unlink()
    done, _ = run(tmp_path, "--on-limit", "kill", "--", sys.executable, "clean.py", way=way)
    assert (done.returncode, (tmp_path / "cleaned").exists()) == (137, False)


IGNORES = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nheld = []\nwhile True: held.append(bytearray(b'x') * (1 << 16))\n"


@pytest.mark.parametrize("way", WAYS)
def test_who_ignores_sigterm_is_ended_after_the_grace(tmp_path: Path, way: str) -> None:
    (tmp_path / "ignore.py").write_text(IGNORES)
    done, facts = run(tmp_path, "--grace", "0.5", "--", sys.executable, "ignore.py", way=way)
    assert (done.returncode, facts["stopped_by"]) == (137, "budget")
    assert facts["wall_seconds"] - facts["held_seconds"] < 10  # which is what it is given without the flag


# Not at once: a guard that has no turn on a busy machine would see nothing of it before its end.
GROW_AND_SAY = """import time; held = [bytearray(b'x') * (1 << 20) for _ in range(150) if not time.sleep(0.003)]
print(len(held))
"""


@pytest.mark.parametrize("way", WAYS)
def test_held_and_released(tmp_path: Path, way: str) -> None:
    """It stands still for as long as it must, and then ends as if nothing had been."""
    (tmp_path / "job.py").write_text(GROW_AND_SAY)
    with started(tmp_path, "--on-limit", "hold", "--", sys.executable, "job.py", way=way) as guard:
        said = read_until(guard, "key s")
        assert "job.py:1in<listcomp>" in "".join(said.split())
        job = child_of(child_of(guard.pid))
        before = Path(f"/proc/{job}/stat").read_text()
        time.sleep(0.3)
        assert Path(f"/proc/{job}/stat").read_text() == before
        too_little = subprocess.run([*OOMGUARD, "release", str(guard.pid), "--max-rss", "90M"], env=environment(), capture_output=True, text=True, check=False)  # fmt: skip
        assert too_little.returncode == 1
        assert "MiB already, which is not less than 90.0 MiB" in too_little.stderr
        released = subprocess.run([*OOMGUARD, "release", str(job), "--max-rss", "300M", "--json"], env=environment(), capture_output=True, text=True, check=True)  # fmt: skip
        assert json.loads(released.stdout) == {
            "schema": "oomguard.release/1",
            "pid": job,
            "stopped": False,
            "budget": 300 * MIB,
        }
        out, err = guard.communicate(timeout=60)
    assert (guard.returncode, out) == (0, "150\n"), err


@pytest.mark.parametrize("way", WAYS)
def test_held_and_stopped_and_the_guard_killed(tmp_path: Path, way: str) -> None:
    (tmp_path / "job.py").write_text(f"{GROW_AND_SAY}time.sleep(60)\n")
    hold = ["--on-limit", "hold", "--", sys.executable, "job.py"]
    with started(tmp_path, *hold, way=way) as guard:
        read_until(guard, "key s")
        subprocess.run(
            [*OOMGUARD, "release", str(guard.pid), "--stop"], env=environment(), capture_output=True, check=True
        )
        out, _ = guard.communicate(timeout=60)
        assert (guard.returncode, out) == (137, "")
    with started(tmp_path, *hold, way=way) as guard:
        read_until(guard, "key s")
        job = child_of(child_of(guard.pid))
        guard.kill()
        wait_for(lambda: state(job) is None)
    nobody = subprocess.run(
        [*OOMGUARD, "release", str(guard.pid)], env=environment(), capture_output=True, text=True, check=False
    )
    assert nobody.returncode == 1
    assert "is frozen" in nobody.stderr


@pytest.mark.parametrize("way", WAYS)
def test_a_running_job_does_not_outlive_its_guard(tmp_path: Path, way: str) -> None:
    """Whole: with a child of it in another session, and one whose parent is gone."""
    program = "setsid sleep 60 & (setsid sleep 60 & ) ; echo ready; sleep 60; true"
    with started(tmp_path, "--", "bash", "-c", program, way=way) as guard:
        assert guard.stdout is not None
        assert guard.stdout.readline() == "ready\n"
        reaper = child_of(guard.pid)
        wait_for(lambda: len(descendants(reaper)) == 4)
        members = descendants(reaper)
        guard.kill()
        wait_for(lambda: all(state(pid) is None for pid in [reaper, *members]))


def descendants(pid: int) -> list[int]:
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [*children, *(below for child in children for below in descendants(child))]


@pytest.mark.parametrize("way", WAYS)
def test_a_job_does_not_outlive_its_keeper_and_who_was_there_before_does(tmp_path: Path, way: str) -> None:
    """Its processes are the guard's own children by then; so is what the shell had begun before it became the guard."""
    command = [*OOMGUARD, "run", "--max-rss", "100M", "--enforce", way, "--report", "report.json", "--"]
    job = ["bash", "-c", "setsid sleep 61 & (setsid sleep 61 & ) ; echo ready; sleep 61; true"]
    before = ["sh", "-c", 'sleep 59 >/dev/null 2>&1 & exec "$@"', "sh"]
    guard = subprocess.Popen(
        [*before, *command, *job],
        cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0,
    )  # fmt: skip
    with guard:
        try:
            assert guard.stdout is not None
            assert guard.stdout.readline() == "ready\n"
            children = [int(pid) for pid in Path(f"/proc/{guard.pid}/task/{guard.pid}/children").read_text().split()]
            bystander = next(pid for pid in children if Path(f"/proc/{pid}/comm").read_text() == "sleep\n")
            (reaper,) = set(children) - {bystander}
            wait_for(lambda: len(below(reaper)) == 4)
            members = below(reaper)
            guard.send_signal(signal.SIGSTOP)  # so that the kernel has handed them on before it looks
            wait_for(lambda: state(guard.pid) == "T")
            os.kill(reaper, signal.SIGKILL)
            wait_for(lambda: state(reaper) == "Z")
            guard.send_signal(signal.SIGCONT)
            wait_for(lambda: state(guard.pid) in (None, "Z"))
            alive = [pid for pid in members if state(pid) not in (None, "Z")]
            left = state(bystander)
            for pid in [*alive, bystander]:
                os.kill(pid, signal.SIGKILL)
            _, said = guard.communicate(timeout=30)
        finally:
            guard.kill()
    assert (alive, left) == ([], "S")
    facts = json.loads((tmp_path / "report.json").read_text())
    assert (guard.returncode, facts["left_behind"]) == (137, 0), said


@pytest.mark.alone
@pytest.mark.parametrize("moment", ["running", "held"])
@pytest.mark.parametrize("way", WAYS)
def test_guard_and_keeper_killed_at_once_the_command_ends_with_them(tmp_path: Path, way: str, moment: str) -> None:
    """Nobody would thaw it, or hold it: not frozen for ever, and not on without a limit."""
    program = "import time\nprint('begun', flush=True)\ntime.sleep(60)\n" if moment == "running" else GROW_AND_SAY
    with started(tmp_path, "--on-limit", "hold", "--", sys.executable, "-c", program, way=way) as guard:
        assert guard.stdout is not None
        read_until(guard, "key s") if moment == "held" else guard.stdout.readline()
        reaper = child_of(guard.pid)
        job = child_of(reaper)
        assert Path(f"/proc/{reaper}/comm").read_text() != Path(f"/proc/{guard.pid}/comm").read_text()
        os.kill(guard.pid, signal.SIGSTOP)
        os.kill(reaper, signal.SIGSTOP)
        os.kill(guard.pid, signal.SIGKILL)
        os.kill(reaper, signal.SIGKILL)
        wait_for(lambda: state(job) in (None, "Z"))
    subprocess.run(
        [*OOMGUARD, "run", "--max-rss", "50M", "--", "true"], env=environment(), check=True
    )  # removes the rest


def test_a_keeper_killed_at_its_first_moments_hangs_nobody(tmp_path: Path) -> None:
    for milliseconds in (0, 1, 2, 3, 5, 8):
        with started(tmp_path, "--", "sleep", "60") as guard:
            reaper = child_of(guard.pid)
            time.sleep(milliseconds / 1000)
            os.kill(reaper, signal.SIGKILL)
            _, said = guard.communicate(timeout=30)
            assert (guard.returncode in (125, 137), "Traceback" in said) == (True, False), said


def below(pid: int) -> list[int]:
    children = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return children + [each for child in children for each in below(child)]


@pytest.mark.parametrize("way", WAYS)
def test_signals_reach_the_job_once(tmp_path: Path, way: str) -> None:
    program = "trap 'echo got; n=$((n+1))' TERM USR1; trap 'exit 7' INT; echo ready; while :; do sleep 0.05; done"
    with started(tmp_path, "--", "bash", "-c", program, way=way) as guard:
        assert guard.stdout is not None
        assert guard.stdout.readline() == "ready\n"
        guard.send_signal(signal.SIGUSR1)
        assert guard.stdout.readline() == "got\n"
        guard.send_signal(signal.SIGTERM)
        assert guard.stdout.readline() == "got\n"
        guard.send_signal(signal.SIGINT)
        assert guard.stdout.read() == ""
        assert guard.wait(20) == 7


@pytest.mark.parametrize("way", WAYS)
def test_what_it_leaves_in_the_background_goes_on_under_the_budget(tmp_path: Path, way: str) -> None:
    """The command's own exit status at once; the rest lives, and no cgroup is left when it has ended."""
    (tmp_path / "late.py").write_text(
        "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\nopen('late', 'w').write('x')\nheld = []\nwhile True: held.append(bytearray(b'x') * (1 << 20))\n"
    )
    late = str(tmp_path / "late.py")
    program = f"{sys.executable} {late} >/dev/null 2>&1 </dev/null & exit 4"
    done, facts = run(tmp_path, "--", "bash", "-c", program, way=way)
    assert (done.returncode, facts["left_behind"]) == (4, 1)
    assert "still running, under the same budget" in " ".join(done.stderr.split())
    assert processes_of(late)
    (tmp_path / "go").touch()
    wait_for(lambda: (tmp_path / "late").exists())
    wait_for(lambda: not processes_of(late))  # it meets the budget, and ends


def processes_of(program: str) -> list[str]:
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdecimal() and (path / "cmdline").exists():
            try:
                found += [path.name] if program in (path / "cmdline").read_text() else []
            except OSError:
                continue
    return found


def looks(pid: int) -> int:
    """How often it has gone to sleep, as a guard does between two looks."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def test_the_kernel_was_faster(tmp_path: Path) -> None:
    """With the guard asleep and parking switched off, the kernel kills; the verdict says so and names the victim."""
    memory = Path("/sys/fs/cgroup/memory")
    program = "import sys\nprint('up', flush=True)\nsys.stdin.readline()\nheld = [bytearray(b'x') * (1 << 20) for _ in range(400)]\n"
    (tmp_path / "hog.py").write_text(program)
    with started(tmp_path, "--report", "report.json", "--", sys.executable, "hog.py") as guard:
        assert guard.stdout is not None
        assert guard.stdout.readline() == "up\n"
        job = child_of(child_of(guard.pid))
        looked = looks(guard.pid)
        wait_for(lambda: looks(guard.pid) > looked + 4)  # so that it knows who is there
        if memory.exists():
            name = next(
                line.split(":")[2]
                for line in Path(f"/proc/{job}/cgroup").read_text().splitlines()
                if ":memory:" in line
            )
            (memory / name.lstrip("/") / "memory.oom_control").write_text("0")
        guard.send_signal(signal.SIGSTOP)
        assert guard.stdin is not None
        guard.stdin.write("\n")
        guard.stdin.flush()
        wait_for(lambda: state(job) in (None, "Z"))
        guard.send_signal(signal.SIGCONT)
        _, said = guard.communicate(timeout=30)
    facts = json.loads((tmp_path / "report.json").read_text())
    assert (guard.returncode, facts["stopped_by"], facts["oom_kills"]) == (137, "kernel", 1), said
    assert facts["victim"].startswith("python")
    assert "OOM killer acted before" in said
