"""Stacks of a process that runs, is stopped, is frozen; of none, of one that ended, of a reader that hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from oomguard.stacks import pystack as python_stacks
from oomguard.stacks.pystack import is_python, read_python_stacks
from tests.kernel.other_processes import grown

UNIFIED = [Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")]


def check(pid: int) -> None:
    (stack,) = read_python_stacks([pid]).stacks
    assert [frame.function for frame in stack.frames] == ["wait", "load", "<module>"]  # innermost first
    load = stack.frames[1]
    assert (Path(load.file).name, load.line) == ("grow.py", 11)
    assert list(load.arguments.items()) == [("path", '"train.txt"'), ("rows", "40")]
    assert load.locals["i"] == "39"


def test_running_and_stopped(tmp_path: Path) -> None:
    with grown(tmp_path) as process:
        check(process.pid)
        process.send_signal(signal.SIGSTOP)
        check(process.pid)


def test_frozen(tmp_path: Path) -> None:
    unified = next((path for path in UNIFIED if (path / "cgroup.procs").exists()), None)
    if unified is None or os.getuid() != 0 or not os.access(unified, os.W_OK):
        pytest.skip("needs a writable cgroup v2 hierarchy: run as root")
    cgroup = unified / f"oomguard-test-{os.getpid()}"
    cgroup.mkdir()
    try:
        with grown(tmp_path) as process:
            (cgroup / "cgroup.procs").write_text(str(process.pid))
            (cgroup / "cgroup.freeze").write_text("1")
            try:
                check(process.pid)
            finally:
                (cgroup / "cgroup.freeze").write_text("0")
    finally:
        cgroup.rmdir()


def test_other_programs_are_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as sleep:
        assert not is_python(sleep.pid)
        assert read_python_stacks([sleep.pid]).unread == {}
        sleep.kill()
    assert not is_python(sleep.pid)


@pytest.mark.slow
def test_what_cannot_be_read_has_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that crashes or hangs on one process costs that process's arguments, and no more time than allowed."""
    real = python_stacks.read_with_pystack

    def read(pid: int) -> object:
        if pid == crash.pid:
            os._exit(139)
        if pid == hang.pid:
            time.sleep(60)
        return real(pid)

    monkeypatch.setattr(python_stacks, "read_with_pystack", read)
    monkeypatch.setattr("shutil.which", lambda _: None)
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for folder in folders:
        folder.mkdir()
    with grown(folders[0]) as crash, grown(folders[1]) as hang, grown(folders[2]) as fine:
        began = time.monotonic()
        reading = read_python_stacks([crash.pid, hang.pid, fine.pid], seconds=6)
        assert time.monotonic() - began < 20  # of the 60 for which it hangs
        by_whom = {stack.pid: stack.read_by for stack in reading.stacks}
        assert by_whom == {crash.pid: "oomguard", hang.pid: "oomguard", fine.pid: "pystack"}
        assert {stack.frames[1].line for stack in reading.stacks} == {11}
        assert reading.unread == {}
        monkeypatch.setattr("oomguard.stacks.cpython.python_layout", lambda *_: None)  # a Python that is not known
        unread = read_python_stacks([hang.pid, fine.pid], seconds=6).unread
        assert set(unread) == {hang.pid}
        assert "took too long" in unread[hang.pid]


def test_without_pystack_the_line_is_named_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_stacks, "find_spec", lambda _: None)
    monkeypatch.setattr("shutil.which", lambda _: None)
    with grown(tmp_path) as process:
        until = time.monotonic() + 10
        while (reading := read_python_stacks([process.pid])).stacks[0].frames[0].function != "wait":
            assert time.monotonic() < until  # from print() to there
        (stack,) = reading.stacks
        assert (stack.read_by, stack.thread, reading.unread) == ("oomguard", process.pid, {})
        assert [(frame.line, frame.function) for frame in stack.frames] == [
            (15, "wait"),
            (11, "load"),
            (17, "<module>"),
        ]
        monkeypatch.setattr("oomguard.stacks.cpython.python_layout", lambda *_: None)  # a Python that is not known
        assert "oomguard[stack]" in read_python_stacks([process.pid]).unread[process.pid]


def test_py_spy_serves_where_pystack_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer in the form that py-spy 0.4 gives (dump --json --locals)."""
    spy = tmp_path / "py-spy"
    spy.write_text("""#!/bin/sh
cat <<'END'
[{"pid": 1, "thread_id": 1, "thread_name": "MainThread", "os_thread_id": 77, "active": true, "owns_gil": true, "frames": [
 {"name": "load", "filename": "/x/grow.py", "module": null, "short_filename": "grow.py", "line": 9, "is_entry": true,
  "locals": [{"name": "path", "addr": 1, "arg": true, "repr": "\\"train.txt\\""}, {"name": "i", "addr": 2, "arg": false, "repr": "39"}]},
 {"name": "<module>", "filename": "/x/grow.py", "module": null, "short_filename": null, "line": 17, "is_entry": false, "locals": null}],
 "process_info": null}]
END
""")
    spy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(python_stacks, "find_spec", lambda _: None)
    with grown(tmp_path) as process:
        (stack,) = read_python_stacks([process.pid]).stacks
    assert (stack.read_by, stack.thread, stack.frames[0].line) == ("py-spy", 77, 9)
    assert (stack.frames[0].arguments, stack.frames[0].locals) == ({"path": '"train.txt"'}, {"i": "39"})
