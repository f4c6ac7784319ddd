"""What `run` says of programs of the kinds that people have: the user's line first, what grew, and advice that fits.

The line that grows ends with the mark "# grows"; where the job mostly stands, with "# stands".
"""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.live.guarded import MIB, WAYS, run, wait_for

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.live, pytest.mark.pairs, pytest.mark.usefixtures("nothing_is_left")]


_TRIES = 6


def line_of(program: str, mark: str) -> int:
    return next(n for n, line in enumerate(program.splitlines(), 1) if line.endswith(f"# {mark}"))


def stopped(
    folder: Path, program: str, *arguments: str, budget: str = "100M", way: str = "auto"
) -> tuple[dict[str, Any], str]:
    """Run a program until its budget; its report, and the screen, each label and text in one line."""
    (folder / "app.py").write_text(program)
    done, facts = run(folder, "--grace", "1", "--", sys.executable, "app.py", *arguments, budget=budget, way=way)
    assert (done.returncode, facts["stopped_by"]) == (137, "budget"), done.stderr
    assert " at 0x" not in done.stderr  # an address says nothing
    return facts, "".join(done.stderr.split())


def first_code(said: str) -> str:
    """The first place in code that the screen names."""
    found = re.search(r"[\w./-]+\.py:\d+in", said)
    assert found is not None, said
    return found[0].rpartition("/")[2].removesuffix("in")


def stopped_growing(folder: Path, program: str, way: str = "auto") -> tuple[dict[str, Any], str]:
    """As stopped(), for a program that mostly sleeps, when its first line is the one that grows.

    On a busy machine one run may be met only while it sleeps: then that line comes first, and nothing is said to grow.
    """
    grows, sleeps = (f"app.py:{line_of(program, mark)}" for mark in ("grows", "stands"))
    for _ in range(_TRIES):
        facts, said = stopped(folder, program, way=way)
        if first_code(said) == grows and facts["grown"]:
            return facts, said
        assert first_code(said) in (grows, sleeps)
        assert not any(line["line"] != line_of(program, "grows") for line in facts["grown"])
    raise AssertionError(f"never met while it grew: {said}")


LEAK = """import time
cache = []
def handle(number):
    cache.append(bytearray(2 << 20))  # grows
while True:
    handle(0)
    time.sleep(0.02)  # stands
"""


@pytest.mark.parametrize("way", WAYS)
def test_what_grew_is_named_beside_where_it_stands(tmp_path: Path, way: str) -> None:
    facts, said = stopped_growing(tmp_path, LEAK, way=way)
    stands = facts["stacks"][0]["frames"][0]["line"]  # on a busy machine it may be met while it grows
    assert f"app.py:{line_of(LEAK, 'stands')}in<module>" in said or stands == line_of(LEAK, "grows")
    assert facts["grown"][0]["line"] == line_of(LEAK, "grows")
    assert facts["grown"][0]["source"].startswith("cache.append(")
    assert facts["grown"][0]["grew_bytes"] > 0.8 * facts["grown_since"] > 30 * MIB
    assert first_code(said) == f"app.py:{line_of(LEAK, 'grows')}"
    assert f"line {line_of(LEAK, 'grows')} accumulates" in facts["advice"][0]


LIBRARY = """def outer(rows):
    return inner(rows)
def inner(rows):
    held = []
    for _ in range(rows):
        held.append(bytearray(1 << 20))
    return held
"""
DEEP = """import sys; sys.path.insert(0, "lib/python3.11/site-packages")
import deeply
def tokens(rows):
    return deeply.outer(rows)  # grows
tokens(3000)
"""


def test_the_user_s_line_comes_before_the_library_s(tmp_path: Path) -> None:
    package = tmp_path / "lib/python3.11/site-packages/deeply"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(LIBRARY)
    facts, said = stopped(tmp_path, DEEP)
    assert first_code(said) == f"app.py:{line_of(DEEP, 'grows')}"
    assert "intokens(rows=3000)returndeeply.outer(rows)" in said
    assert "indeeply/__init__.py:6ininner" in said
    assert said.count("deeply/__init__.py") == 1
    assert facts["stacks"][0]["frames"][0]["function"] == "inner"


THREADS = """import threading, time
def idle():
    threading.Event().wait()
for _ in range(3):
    threading.Thread(target=idle, daemon=True).start()
def fill():
    keep = []
    while True:
        keep.append(bytearray(1 << 20))  # grows
        time.sleep(0.002)  # stands
thread = threading.Thread(target=fill)
thread.start()
thread.join()
"""


def test_of_many_threads_the_one_that_grows(tmp_path: Path) -> None:
    facts, said = stopped_growing(tmp_path, THREADS)
    assert "idle" not in said
    assert "threading.py" not in said
    assert len({stack["thread"] for stack in facts["stacks"]}) == 5  # all of them are in the report


RESULTS = """import multiprocessing, time
def produce(number):
    return "x" * 200_000
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for text in pool.imap(produce, range(3000)):
            time.sleep(0.01)  # stands
"""


def test_results_that_pile_up_in_a_pool_s_parent(tmp_path: Path) -> None:
    for _ in range(_TRIES):  # samples of a busy machine may miss the pool's threads at work
        facts, said = stopped(tmp_path, RESULTS)
        assert f"app.py:{line_of(RESULTS, 'stands')}in<module>time.sleep(0.01)" in said
        if any(grown["file"].endswith("multiprocessing/pool.py") for grown in facts["grown"][:1]):
            break
    assert any("taken more slowly than they are made" in advice for advice in facts["advice"])
    assert "connection.py" not in said  # the workers wait


RENAMED = """import os, sys, time
def feats(number):
    held = []
    for i in range(number):
        held.append(bytearray(1 << 20))  # grows
        time.sleep(0.003)  # stands
    return len(held)
if __name__ == "__main__":
    sent = {"__name__": "sent"}  # as cloudpickle sends a function to a worker
    exec(compile(open(__file__).read(), "<dynamic-code>", "exec"), sent)
    if not os.fork():
        sent["feats"](300)
    os.wait()
"""


def test_a_function_that_was_sent_to_a_worker_is_found_in_its_script(tmp_path: Path) -> None:
    facts, said = stopped_growing(tmp_path, RENAMED)
    assert "held.append(bytearray(1<<20))" in said
    assert "dynamic-code" not in said
    assert "in feats(number=300)".replace(" ", "") in said
    assert {frame["file"] for frame in facts["stacks"][0]["frames"]} == {str(tmp_path / "app.py")}


COPIES = """import os, time
rows = [str(i) * 40 for i in range(250000)]
def worker():
    total = 0
    for row in rows:  # stands
        total += len(row)
    time.sleep(60)
    os._exit(0)
children = []
for _ in range(4):
    pid = os.fork()
    if not pid:
        worker()
    children.append(pid)
for child in children:
    os.waitpid(child, 0)
"""


def test_copies_after_a_fork_are_told_with_their_cure(tmp_path: Path) -> None:
    facts, said = stopped(tmp_path, COPIES, budget="130M")
    (advice,) = [one for one in facts["advice"] if "copies that forked children made" in one]
    assert "numpy array or an Arrow table" in advice
    assert (
        f"app.py:{line_of(COPIES, 'stands')}inworker" in said
        or f"app.py:{line_of(COPIES, 'stands') + 1}inworker" in said
    )


EQUAL = """import multiprocessing, time
def work(number):
    held = []
    while True:
        held.append(bytearray(1 << 19))  # grows
        time.sleep(0.01)
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(12) as pool:
        pool.map(work, range(12))
"""
ONE = EQUAL.replace("range(12))", "range(12))").replace("    while True:", "    while number == 3 or len(held) < 8:")


def test_equal_workers_are_told_as_such_and_others_are_not(tmp_path: Path) -> None:
    facts, said = stopped(tmp_path, EQUAL, budget="200M")
    assert any(
        re.match(r"12 processes hold about 1\d\.\d MiB each: run fewer", advice) for advice in facts["advice"]
    ), said
    assert said.count("app.py:5in") + said.count("app.py:6in") <= 2  # one stack, and what grew
    facts, said = stopped(tmp_path, ONE, budget="200M")
    assert not any("processes hold" in advice for advice in facts["advice"])


SHARED = """import sys, time
from multiprocessing import shared_memory
held = []
for number in range(40):
    one = shared_memory.SharedMemory(create=True, size=10 << 20)
    one.buf[:] = b"x" * (10 << 20)
    held.append(one); time.sleep(0.02)
"""
MAPPED = """import mmap, time
held = []
while True:
    one = mmap.mmap(-1, 10 << 20)
    one.write(b"x" * (10 << 20))
    held.append(one); time.sleep(0.02)
"""


def test_handles_are_not_what_they_hold(tmp_path: Path) -> None:
    """To append a handle of shared memory keeps little: the files are what is told."""
    facts, _ = stopped(tmp_path, SHARED)
    assert not any("accumulates" in advice for advice in facts["advice"])
    assert any("are files in memory (/dev/shm/" in advice for advice in facts["advice"])
    facts, _ = stopped(tmp_path, MAPPED)
    assert not any("files in memory" in advice for advice in facts["advice"])
    assert any("shared memory without a file" in advice for advice in facts["advice"])


IGNORES = """import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
held = []
while True:
    held.append(bytearray(1 << 20))  # grows
    time.sleep(0.003)
"""


def test_what_it_took_while_it_was_asked_to_end_is_in_the_peak(tmp_path: Path) -> None:
    facts, _ = stopped(tmp_path, IGNORES, budget="64M", way="cgroup")
    assert facts["held_unreclaimable"] < 70 * MIB
    assert facts["peak_unreclaimable"] > 85 * MIB
    assert facts["peak_with_cache"] - facts["peak_unreclaimable"] < 8 * MIB


SPIKE = """import time
time.sleep(0.3)
held = bytearray(b"x") * (200 << 20)
time.sleep(0.02)
del held
time.sleep(0.3)
"""


def test_a_spike_between_two_samples_is_in_the_bound(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(SPIKE)
    done, facts = run(tmp_path, "--", sys.executable, "app.py", budget="1G", way="cgroup")
    assert done.returncode == 0
    assert 200 * MIB < facts["peak_at_most"] < 230 * MIB
    assert facts["peak_unreclaimable"] <= facts["peak_at_most"]


PIPELINE = "{python} -c 'import os; os.write(1, os.urandom(100))' | {python} -c '\nimport sys, time\nheld = bytearray(b\"x\") * (60 << 20)\ntime.sleep({seconds})'"


def test_the_largest_process_is_as_large_as_it_was(tmp_path: Path) -> None:
    for seconds in (0.3, 2, 10):  # on a busy machine nobody may have looked meanwhile
        pipeline = PIPELINE.format(python=sys.executable, seconds=seconds)
        done, facts = run(tmp_path, "--", "bash", "-c", pipeline, budget="200M")
        assert done.returncode == 0, done.stderr
        if facts["largest_process"] > 60 * MIB:
            break
    assert 60 * MIB < facts["largest_process"] <= facts["peak_unreclaimable"] < 90 * MIB


READS = """import os, sys, time
fd = os.open(sys.argv[1], os.O_RDONLY)
held = []
for at in range(0, 1 << 30, 1 << 20):
    held.append(os.pread(fd, 1 << 20, at % (60 << 20)))
    time.sleep(0.002)
"""


def test_what_cannot_be_seen_of_an_input_is_not_said(tmp_path: Path) -> None:
    with (tmp_path / "big.csv").open("wb") as file:
        file.truncate(64 << 20)
    _, said = stopped(tmp_path, READS, "big.csv")
    assert "big.csv64.0MiB;howfaritwasreadcannotbeseen(mmap,preadorseeks)" in said
    assert "0Bof" not in said


DAEMON = """import os, sys, time
if middle := os.fork():
    os.waitpid(middle, 0)  # else it may still be ending, and be counted among what is left
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
null = os.open("/dev/null", os.O_RDWR)
for fd in (0, 1, 2):
    os.dup2(null, fd)
held = []
for number in range(int(sys.argv[1])):
    held.append(bytearray(b"x") * (1 << 20))  # grows
    time.sleep(0.005)
while sys.argv[2:] and not os.path.exists(sys.argv[2]):
    time.sleep(0.005)
open("done", "w").write("ok")
"""


@pytest.mark.parametrize("way", WAYS)
def test_a_daemon_is_waited_for_when_that_is_asked(tmp_path: Path, way: str) -> None:
    (tmp_path / "app.py").write_text(DAEMON)
    done, facts = run(tmp_path, "--wait", "--", sys.executable, "app.py", "30", way=way)
    assert (done.returncode, facts["left_behind"], (tmp_path / "done").exists()) == (0, 0, True), done.stderr
    assert facts["peak_unreclaimable"] > (30 if way == "cgroup" else 15) * MIB  # by samples, the last before its end
    (tmp_path / "done").unlink()
    done, facts = run(tmp_path, "--wait=60", "--", sys.executable, "app.py", "300", way=way)
    assert (done.returncode, facts["stopped_by"]) == (137, "budget"), done.stderr
    assert facts["stacks"][0]["frames"][0]["line"] in (line_of(DAEMON, "grows"), line_of(DAEMON, "grows") + 1)
    done, facts = run(tmp_path, "--wait=0.1", "--", sys.executable, "app.py", "30", "go", way=way)
    assert (done.returncode, facts["left_behind"], (tmp_path / "done").exists()) == (0, 1, False)
    (tmp_path / "go").touch()
    wait_for(lambda: (tmp_path / "done").exists())


@pytest.mark.parametrize("way", WAYS)
def test_a_kill_after_the_end_of_the_guard_is_added_to_the_report(tmp_path: Path, way: str) -> None:
    (tmp_path / "app.py").write_text(DAEMON.replace('open("done"', 'time.sleep(60)\nopen("done"'))
    done, facts = run(tmp_path, "--", sys.executable, "app.py", "200", way=way)
    assert (done.returncode, facts["left_behind"], facts["killed_later"]) == (0, 1, 0)
    assert "1 process that it started is still running" in " ".join(done.stderr.split())
    wait_for(lambda: json.loads((tmp_path / "report.json").read_text())["killed_later"] == 1)
    assert not (tmp_path / "done").exists()


def test_wait_takes_seconds(tmp_path: Path) -> None:
    done, _ = run(tmp_path, "--wait=soon", "--", "true")
    assert done.returncode == 125
    assert '--wait "soon" is not a number of seconds' in done.stderr
