"""On a terminal: a bar that goes away, names that do nothing, and no colour where none is wanted."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

import oomguard
from tests.preparation.expecting import read_tokens, tokens_of

pytestmark = pytest.mark.slow  # whole runs

TEXT = "It was the best of times.\n" * 100_000


def run_on_a_terminal(cwd: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run the command with a terminal of 80 columns as its output; give its exit status and all that it showed."""
    ours, theirs = pty.openpty()
    root = str(Path(oomguard.__file__).parents[1])
    plain = {key: value for key, value in os.environ.items() if not key.startswith("_TYPER")}
    command = [sys.executable, "-m", "oomguard", *arguments]
    process = subprocess.Popen(
        command,
        cwd=cwd,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**plain, "PYTHONPATH": root, "TERM": "xterm-256color", **environment},
    )
    os.close(theirs)
    shown = b""
    try:
        while got := os.read(ours, 1 << 16):
            shown += got
    except OSError:  # EIO: the other side is closed
        pass
    os.close(ours)
    return process.wait(), shown.decode()


def test_a_bar_shows_while_it_runs_and_is_gone_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    code, shown = run_on_a_terminal(tmp_path, "prepare", "text.txt", "--verify", "full", "--val-fraction", "0")
    assert code == 0, shown
    assert "tokens" in shown
    assert "\x1b[?25l" in shown  # the cursor is hidden for the bar
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # and comes back
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of([TEXT])


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_no_colour_where_none_is_wanted(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    code, shown = run_on_a_terminal(tmp_path, "prepare", "text.txt", "--val-fraction", "0", **environment)
    assert code == 0, shown
    colours = re.findall(r"\x1b\[(?:3|4|9|10)[0-9](?:;[0-9]+)*m", shown)
    assert colours == []
    assert "TERM" not in environment or "\x1b" not in shown


def test_a_hostile_name_does_nothing_to_the_terminal(tmp_path: Path) -> None:
    """In the list of what is read, the bar, an error and the result."""
    name, folder = "a\x1b]0;owned\x07[red]\u202e.txt", "out\x1b[2J"
    (tmp_path / name).write_text(TEXT)
    code, shown = run_on_a_terminal(tmp_path, "prepare", name, "--val-fraction", "0", "--out", folder)
    assert code == 0, shown
    (tmp_path / name).write_bytes(b"\xff")
    code, refused = run_on_a_terminal(tmp_path, "prepare", name, "--val-fraction", "0", "--out", "other")
    assert code == 1
    for screen in (shown, refused):
        assert "\x1b]" not in screen
        assert "\x07" not in screen
        assert "\x1b[2J" not in screen
        assert "\u202e" not in screen
        assert "[red]" in screen


def test_a_reader_that_goes_away_ends_the_run_in_silence(tmp_path: Path) -> None:
    """`oomguard prepare ... | head -1`: no traceback, and the next run goes on."""
    (tmp_path / "text.txt").write_text(TEXT)
    root = str(Path(oomguard.__file__).parents[1])
    line = f"{sys.executable} -m oomguard prepare text.txt --val-fraction 0 --verify off 2>errors | head -c 1"
    subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, env={**os.environ, "PYTHONPATH": root}, check=True, capture_output=True
    )
    assert "Traceback" not in (tmp_path / "errors").read_text()
    assert "Error" not in (tmp_path / "errors").read_text()
    assert (tmp_path / "tokens" / "train.bin").exists()
