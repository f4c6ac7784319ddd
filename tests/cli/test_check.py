"""`oomguard check` as people see it. `pytest --update-screens` rewrites tests/screens."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
Check = Callable[[str, str], None]

SCRIPTS = Path("tests/script_analysis/scripts").absolute()
TEXT = "It was the best of times, it was the worst of times. \U0001f642\n" * 2000
ESCAPE = "\x1b"


def steady(screen: str) -> str:
    """Replace what differs between two machines."""
    return re.sub(r"[\d.]+ [KMGT]iB(?= \(|:? enough| of text would|: enough)", "<size>", screen)


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], str]:
    def copy(name: str) -> str:
        shutil.copy(SCRIPTS / name, tmp_path / "prepare.py")
        return "prepare.py"

    return copy


def without_marks(file: Path) -> None:
    file.write_text(re.sub(r"  # FINDING.*", "", file.read_text()))


def test_a_script_with_findings(
    oomguard: Run, script: Callable[[str], str], tmp_path: Path, check_screen: Check
) -> None:
    script("holding/chunks_into_one_list.py")
    without_marks(tmp_path / "prepare.py")
    run = oomguard("check", "prepare.py")
    assert run.returncode == 0, run.stderr
    check_screen("check.txt", re.sub(r"there are .*", "there are <room>", run.stdout))


def test_a_script_with_its_input(
    oomguard: Run, script: Callable[[str], str], tmp_path: Path, check_screen: Check
) -> None:
    script("holding/shakespeare_whole.py")
    without_marks(tmp_path / "prepare.py")
    (tmp_path / "train.txt").write_text(TEXT)
    run = oomguard("check", "prepare.py", "--input", "train.txt")
    assert run.returncode == 0, run.stderr
    check_screen("check-input.txt", re.sub(r"there are .*", "there are <room>", run.stdout))


def test_what_does_not_fit_ends_with_1_and_says_by_how_much(
    oomguard: Run, script: Callable[[str], str], tmp_path: Path, check_screen: Check
) -> None:
    """A terabyte of zeros on no disk: a sparse file; what is read of it is text."""
    script("holding/chunks_into_one_list.py")
    with (tmp_path / "huge.txt").open("wb") as file:
        file.truncate(1 << 42)
    run = oomguard("check", "prepare.py", "--input", "huge.txt", "--json")
    assert run.returncode == 1, run.stderr
    result = json.loads(run.stdout)
    assert result["fits"] is False
    assert result["short_bytes"] == result["needed_bytes"] - result["available_bytes"] > 0
    assert result["findings"][0]["line"] == 16
    shown = oomguard("check", "prepare.py", "--input", "huge.txt")
    assert shown.returncode == 1
    assert "does not fit: needs" in shown.stdout
    assert "next: oomguard plan huge.txt" in shown.stdout


def test_a_script_that_streams(oomguard: Run, script: Callable[[str], str], check_screen: Check) -> None:
    run = oomguard("check", script("clean/fineweb_shards.py"))
    assert run.returncode == 0
    check_screen("check-clean.txt", run.stdout)


def test_json_is_one_object_with_all_that_was_promised(oomguard: Run, script: Callable[[str], str]) -> None:
    result = json.loads(oomguard("check", script("holding/shakespeare_whole.py"), "--json").stdout)
    assert result["schema"] == "oomguard.check/1"
    assert {"line", "code", "rule", "why", "do", "held_per_byte", "peak_per_byte"} <= result["findings"][0].keys()
    assert result["needed_bytes"] is None
    assert result["largest_input_bytes"] > 0


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.ipynb", b"{}", "jupyter nbconvert"),
        ("a.py", b"def f(:\n", "line 1 is not Python 3"),
        ("a.py", b"x = 1\0", "is not Python 3"),
        ("a.py", b"\xff\xfe", "is not Python 3"),
        ("a.py", b"x = " + b"(" * 5000, "a.py"),
        ("a.py", b"#" * (9 << 20), "is not read"),
    ],
)
def test_what_is_no_script_is_an_error_and_not_a_traceback(
    oomguard: Run, tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    run = oomguard("check", name)
    assert run.returncode == 1
    assert says in run.stderr
    assert "Traceback" not in run.stderr
    assert "try: " in run.stderr


def test_hostile_names_and_code_do_nothing_on_the_screen(oomguard: Run, tmp_path: Path) -> None:
    name = "a\x1b]0;owned\x07[red].py"
    (tmp_path / name).write_text("x = open('a\x1b[31m.txt').read()  # [bold]\x9b1m\n")
    run = oomguard("check", name)
    assert run.returncode == 0, run.stderr
    assert ESCAPE not in run.stdout + run.stderr
    assert "\x9b" not in run.stdout
    assert "[red]" in run.stdout
    assert "[bold]" in run.stdout
    missing = oomguard("check", name + "x")
    assert ESCAPE not in missing.stderr


def test_no_line_is_wider_than_80_columns(oomguard: Run, script: Callable[[str], str]) -> None:
    for name in ("holding/shakespeare_whole.py", "holding/local_dataset.py", "holding/write_tolist.py"):
        run = oomguard("check", script(name))
        assert [line for line in run.stdout.splitlines() if len(line) > 80] == []
