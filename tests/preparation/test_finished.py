"""A run that is done is shown again and not done again; files of others are never touched."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # whole runs

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def text(tmp_path: Path) -> str:
    (tmp_path / "text.txt").write_text("It was the best of times. " * 1000)
    return "text.txt"


def test_a_finished_run_is_shown_again(oomguard: Run, tmp_path: Path, text: str) -> None:
    first = json.loads(oomguard("prepare", text, "--json").stdout)
    changed = (tmp_path / "tokens" / "train.bin").stat().st_mtime_ns
    again = json.loads(oomguard("prepare", text, "--json").stdout)
    assert again == {**first, "already_done": True}
    assert (tmp_path / "tokens" / "train.bin").stat().st_mtime_ns == changed


@pytest.mark.parametrize("damage", ["gone", "shorter"])
def test_a_finished_run_of_which_a_file_is_damaged_is_not_shown_as_done(
    oomguard: Run, tmp_path: Path, text: str, damage: str
) -> None:
    """And --restart makes it anew."""
    oomguard("prepare", text)
    file = tmp_path / "tokens" / "train.bin"
    content = file.read_bytes()
    file.unlink()
    if damage == "shorter":
        file.write_bytes(content[:-2])
    refused = oomguard("prepare", text)
    assert refused.returncode == 1
    assert "train.bin" in refused.stderr
    assert oomguard("prepare", text, "--restart").returncode == 0
    assert file.read_bytes() == content


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("train.bin", ()),
        ("val.bin", ()),
        ("fineweb_train_000007.bin", ("--format", "llmc")),
        ("edufineweb_val_000000.npy", ("--format", "npy")),
    ],
)
def test_a_file_that_somebody_else_made_is_never_overwritten(
    oomguard: Run, tmp_path: Path, text: str, name: str, flags: tuple[str, ...]
) -> None:
    """However often it is tried, and with --restart too."""
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / name).write_text("mine")
    for more in ((), (), ("--restart",), ()):
        refused = oomguard("prepare", text, *flags, *more)
        assert refused.returncode == 1
        assert f"{name} is already there" in refused.stderr
        assert (tmp_path / "tokens" / name).read_text() == "mine"
    (tmp_path / "tokens" / name).unlink()
    assert oomguard("prepare", text, *flags).returncode == 0


def test_restart_with_other_options_takes_the_old_shards_away(oomguard: Run, tmp_path: Path, text: str) -> None:
    """A folder with shards of two runs would be read as one corpus."""
    oomguard("prepare", text, "--format", "npy", "--shard-tokens", "100")
    assert len(list((tmp_path / "tokens").glob("*.npy"))) > 20
    (tmp_path / "tokens" / "notes.txt").write_text("mine")
    assert oomguard("prepare", text, "--format", "npy", "--shard-tokens", "1000000", "--restart").returncode == 0
    assert len(list((tmp_path / "tokens").glob("*.npy"))) == 1
    assert (tmp_path / "tokens" / "notes.txt").exists()


def test_output_is_never_input(oomguard: Run, tmp_path: Path, text: str) -> None:
    """A folder that holds the output folder is read without it."""
    oomguard("prepare", ".", "--out", "tokens", "--val-fraction", "0")
    (tmp_path / "tokens" / "notes.txt").write_text("not corpus")
    again = oomguard("prepare", ".", "--out", "tokens", "--val-fraction", "0", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["already_done"] is True
