"""Lines of source: those that a process ran, and no others."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from oomguard.stacks.source import SourceFiles, defines, resolved_below
from tests.kernel.other_processes import grown

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """import joblib

def feats(n):
    acc = []
    for i in range(n):
        acc.append([
            i, n,
        ])
    return acc

class Maker:
    async def make(self):
        return [x for x in range(9)]

other = map(lambda x: x, [1])
""".splitlines()


def test_the_line_as_it_stands_in_the_file(tmp_path: Path) -> None:
    with grown(tmp_path) as process:
        sources = SourceFiles()
        assert sources.line(process.pid, "grow.py", 9) == 'held.append(bytearray(b"x") * (1 << 20))'
        assert sources.line(process.pid, str(tmp_path / "grow.py"), 11) == "wait(text)"
        assert [sources.line(process.pid, "grow.py", n) for n in (0, 999)] == ["", ""]
        assert sources.line(process.pid, "train.txt", 1) == ""
        assert sources.line(process.pid, "gone.py", 1) == ""


def test_a_file_that_was_changed_meanwhile_is_not_what_runs(tmp_path: Path) -> None:
    with grown(tmp_path) as process:
        text = (tmp_path / "grow.py").read_text()
        time.sleep(0.05)
        (tmp_path / "grow.py").write_text("# one line more\n" + text)
        assert SourceFiles().line(process.pid, "grow.py", 9) == ""


def test_another_file_that_was_put_in_its_place_is_not_either(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("unrelated = 1\n" * 20)
    os.utime(tmp_path / "other.py", (1, 1))
    time.sleep(0.05)
    with grown(tmp_path) as process:
        time.sleep(0.05)
        (tmp_path / "other.py").rename(tmp_path / "grow.py")
        assert SourceFiles().line(process.pid, "grow.py", 9) == ""


def test_a_forked_child_has_what_its_parent_read(tmp_path: Path) -> None:
    """It began after the file was changed, and runs the code from before."""
    (tmp_path / "pool.py").write_text(
        "import os, sys, time\nprint('up', flush=True); sys.stdin.readline()\npid = os.fork()\nif pid:\n    print(pid, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "pool.py"], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        time.sleep(0.1)  # so that the change is later, as the file's time tells it
        (tmp_path / "pool.py").write_text("changed = 1\n" * 20)
        time.sleep(0.1)
        process.stdin.write("\n")
        process.stdin.flush()
        child = int(process.stdout.readline())
        assert SourceFiles().line(child, str(tmp_path / "pool.py"), 6) == ""
        os.kill(child, 9)
        process.kill()


@pytest.mark.skipif(os.getuid() != 0, reason="run as root: a mount namespace of its own")
def test_the_file_is_the_one_of_the_process_s_own_mounts(tmp_path: Path) -> None:
    """Another file stands where the process has its own; a link in it leads to its root, not to ours."""
    for folder in ("host", "inner"):
        (tmp_path / folder).mkdir()
    (tmp_path / "host/grow.py").write_text("unrelated = 1\n" * 20)
    (tmp_path / "inner/grow.py").write_text("import time\nprint('full', flush=True)\ntime.sleep(60)\n")
    (tmp_path / "inner/link.py").symlink_to(tmp_path / "host/grow.py")
    time.sleep(0.05)
    mount = f"mount --bind {tmp_path}/inner {tmp_path}/host && exec {sys.executable} {tmp_path}/host/grow.py"
    with subprocess.Popen(["unshare", "-m", "sh", "-c", mount], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "full\n"
        sources = SourceFiles()
        assert sources.line(process.pid, f"{tmp_path}/host/grow.py", 3) == "time.sleep(60)"
        assert sources.line(process.pid, f"{tmp_path}/host/link.py", 3) == "time.sleep(60)"
        process.kill()


def test_links_stay_below_a_root(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/up").symlink_to("../../../etc")
    (tmp_path / "a/abs").symlink_to("/a/b")
    (tmp_path / "a/round").symlink_to("round")
    assert resolved_below(str(tmp_path), "/a/up/passwd") == "/etc/passwd"
    assert resolved_below(str(tmp_path), "/a/abs/x.py") == "/a/b/x.py"
    assert resolved_below(str(tmp_path), "/a/./b/../x.py") == "/a/x.py"
    with pytest.raises(OSError, match="too many links"):
        resolved_below(str(tmp_path), "/a/round")


@pytest.mark.parametrize(
    ("line", "function", "is_there"),
    [
        (6, "feats", True),
        (8, "feats", True),  # of a call that is split over lines
        (9, "feats", True),
        (13, "Maker.make", True),
        (13, "Maker.make.<locals>.<listcomp>", True),
        (15, "<lambda>", True),
        (6, "<lambda>", False),
        (15, "feats", False),  # below it, and not in it
        (2, "feats", False),
        (6, "other", False),
        (99, "feats", False),
        (0, "feats", False),
    ],
)
def test_whether_a_line_is_in_a_function(line: int, function: str, is_there: bool) -> None:
    assert defines(SCRIPT, line, function) is is_there
