"""Where real Python programs are, of each version that is installed here."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from oomguard.stacks import cpython
from oomguard.stacks.cpython import PythonFrames
from oomguard.stacks.layout import python_layout
from oomguard.stacks.source import SourceFiles
from tests.running import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = """import threading, time
class Reader:
    def lese_é(self, depth):
        if depth:
            return self.lese_é(depth - 1)
        print("ready", flush=True)
        time.sleep(60)
def outer():
    Reader().lese_é(2)
outer()
"""
HERE = [(7, "Reader.lese_é"), (5, "Reader.lese_é"), (5, "Reader.lese_é"), (9, "outer"), (10, "<module>")]
INSTALLED = [
    Path(sys.executable),
    *sorted(Path.home().glob(".pyenv/versions/3.1[1-9].*/bin/python3")),
    *sorted(Path("/usr/bin").glob("python3.1[1-9]")),
]
# Other systems' Pythons: mmdebstrap --variant=apt --include=python3.14 sid ROOT; OOMGUARD_PYTHON_ROOTS=ROOT, as root.
ROOTS = [Path(root) for root in os.environ.get("OOMGUARD_PYTHON_ROOTS", "").split(":") if root]
ELSEWHERE = [(root, python) for root in ROOTS for python in sorted(root.glob("usr/bin/python3.1[1-9]"))]


@contextmanager
def running(python: Path, text: str, folder: Path, root: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    folder = folder if root is None else root / "tmp"
    (folder / "prög.py").write_text(text)
    inside = [str(python), str(folder / "prög.py")]
    if root is not None:
        inside = ["chroot", str(root), *(f"/{Path(part).relative_to(root)}" for part in inside)]
    with subprocess.Popen(inside, stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline() == "ready\n"
            if "(60)" in text:
                wait_until(lambda: state(program.pid) == "S")  # from print() to sleep()
            yield program
        finally:
            program.kill()


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def version(python: Path) -> tuple[int, int]:
    told = subprocess.run(
        [python, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=True
    )
    major, minor = told.stdout.split()
    return int(major), int(minor)


@pytest.mark.parametrize(("root", "python"), [*((None, python) for python in INSTALLED), *ELSEWHERE], ids=str)
def test_the_calls_of_a_program(root: Path | None, python: Path, tmp_path: Path) -> None:
    if root is None and (not python.exists() or not (3, 11) <= version(python) <= (3, 15)):
        pytest.skip(f"{python} is not there, or none of 3.11 to 3.15")
    frames = PythonFrames()
    with running(python, PROGRAM, tmp_path, root) as program:
        found = frames.read(program.pid)
        assert found is not None
        assert [(line, name) for _, line, name in found] == HERE
        (file,) = {file for file, _, _ in found}
        assert file == ("/tmp/prög.py" if root is not None else str(tmp_path / "prög.py"))
        assert SourceFiles().line(program.pid, file, 7) == "time.sleep(60)"
    assert not frames.read(program.pid)
    frames.close()


def test_the_thread_that_holds_the_lock_is_the_one(tmp_path: Path) -> None:
    busy = (
        PROGRAM.replace("        time.sleep(60)\n", "        threading.Event().wait(60)\n")
        .replace(
            "outer()\n",
            "def spin():\n    while True:\n        pass\nthreading.Thread(target=spin, daemon=True).start()\nouter()\n",
            1,
        )
        .replace("def outer", "def outer", 1)
    )
    busy = busy.replace("def spin", "def spin", 1)
    frames = PythonFrames()
    with running(Path(sys.executable), busy, tmp_path) as program:
        names = {found[0][2] for _ in range(30) if (found := frames.read(program.pid))}
    frames.close()
    assert names == {"spin"}


def test_a_process_that_executes_another_program_is_found_out(tmp_path: Path) -> None:
    frames = PythonFrames()
    go = tmp_path / "go"
    text = f"""
import os, time
print("ready", flush=True)
while not os.path.exists({str(go)!r}):
    time.sleep(0.01)
os.execv("/bin/sleep", ["sleep", "60"])
"""
    with running(Path(sys.executable), text, tmp_path) as program:
        wait_until(lambda: frames.read(program.pid))
        go.touch()
        wait_until(lambda: not frames.read(program.pid))
        assert not frames.read(program.pid)
    frames.close()


def test_a_program_that_changes_meanwhile_is_never_more_than_torn(tmp_path: Path) -> None:
    """Deep recursion, and code that comes and goes, read as often as it goes."""
    text = """
import sys
print("ready", flush=True)
def deep(n):
    return n and deep(n - 1)
while True:
    exec(compile("def f():\\n" + "    pass\\n" * 50 + "f()\\n", "made.py", "exec"), {})
    deep(200)
"""
    frames = PythonFrames()
    with running(Path(sys.executable), text, tmp_path) as program:
        found = [frames.read(program.pid) for _ in range(500)]
    frames.close()
    read = [one for one in found if one]
    assert len(read) > 250
    assert {one[-1][2] for one in read if len(one) < 120} <= {"<module>"}
    assert all(0 < line < 100 for one in read for _, line, _ in one)


def test_it_costs_little(tmp_path: Path) -> None:
    frames = PythonFrames()
    with running(Path(sys.executable), PROGRAM, tmp_path) as program:
        frames.read(program.pid)
        began = time.thread_time()
        for _ in range(100):
            frames.read(program.pid)
        assert (time.thread_time() - began) / 100 < 0.001  # 0.08 ms alone on the machine
    frames.close()


def test_other_programs_are_none() -> None:
    frames = PythonFrames()
    with subprocess.Popen(["sleep", "60"]) as program:
        assert frames.read(program.pid) is None
        program.kill()
    assert frames.read(program.pid) is None
    assert frames.read(1 << 22) is None
    frames.close()


def test_versions_whose_layout_is_not_known_are_none() -> None:
    assert python_layout(0x030A0DF0, b"") is None
    assert python_layout(0x03100000, b"xdebugpy" + bytes(800)) is None
    assert python_layout(0x030D00F0, b"") is None
    assert python_layout(0x030D00F0, b"xdebugpy" + b"\xff" * 400) is None  # free-threaded, or damaged


def test_reading_leaves_the_pages_of_forked_children_shared(tmp_path: Path) -> None:
    """A reader that pins pages would give each child copies of its own: measured with process_vm_readv()."""
    text = """
import os, sys, time
held = bytearray(b"1") * (30 << 20)
if os.fork():
    print("ready", flush=True)
time.sleep(60)
"""
    frames = PythonFrames()
    with running(Path(sys.executable), text, tmp_path) as program:
        child = int(Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text())
        try:
            before = private(child)
            for _ in range(20):
                assert frames.read(child)
            assert private(child) - before < 1 << 20
        finally:
            os.kill(child, 9)
    frames.close()


def private(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) << 10 for line in rollup.splitlines() if line.startswith("Private_Dirty"))


THREADS = """import threading, time
def works():
    kept = []
    while True:
        kept.append(sum(range(20_000)))
        time.sleep(0.002)
def waits():
    time.sleep(60)
for target in (waits, works, waits):
    threading.Thread(target=target, daemon=True).start()
print("ready", flush=True)
time.sleep(60)
"""


def test_while_all_threads_wait_it_is_the_one_that_ran_most(tmp_path: Path) -> None:
    frames = PythonFrames()
    names = []
    with running(Path(sys.executable), THREADS, tmp_path) as program:
        for _ in range(40):
            found = frames.read(program.pid)
            names += [name for _, _, name in found or () if name in ("works", "waits", "<module>")][:1]
            seen = cpu_nanoseconds_of_threads(program.pid)
            wait_until(partial(has_run, program.pid, seen))
    frames.close()
    assert len(names) == 40
    assert names[1:].count("works") > 0.9 * len(names)  # the first counts from the program's beginning


def has_run(pid: int, before: int) -> bool:
    return cpu_nanoseconds_of_threads(pid) > before + 2_000_000


def cpu_nanoseconds_of_threads(pid: int) -> int:
    """Of those beside the main one. On a busy machine no thread may run for a while: what counts is that one ran."""
    tasks = [task for task in Path(f"/proc/{pid}/task").iterdir() if task.name != str(pid)]
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def test_the_main_thread_s_calls_while_another_works(tmp_path: Path) -> None:
    frames = PythonFrames()
    with running(Path(sys.executable), THREADS, tmp_path) as program:
        assert frames.read(program.pid)
        for _ in range(200):
            seen = cpu_nanoseconds_of_threads(program.pid)
            wait_until(partial(has_run, program.pid, seen))
            found = frames.read(program.pid)
            if found and found[0][2] == "works":
                break
        main = frames.read_main(program.pid)
    assert [(line, name) for _, line, name in main] == [(12, "<module>")]
    frames.close()
    assert frames.read_main(program.pid) == []


def test_the_tables_of_a_program_that_makes_them_long_are_not_all_kept() -> None:
    layout: Any = None
    program = cpython._Program(1, -1, 0, layout)
    for code in range(200):
        cpython._keep(program, code, (b"", "file", "name", bytes(1 << 20)))
        assert code in program.codes
        assert sum(len(known[3]) for known in program.codes.values()) <= 16 << 20
    for code in range(5000):
        cpython._keep(program, code, (b"", "file", "name", b"short"))
    assert len(program.codes) <= 4001
