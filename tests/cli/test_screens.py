"""What people see, in a pipe. `pytest --update-screens` rewrites tests/screens; review reads the diff."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., subprocess.CompletedProcess[str]]
Check = Callable[[str, str], None]

TEXT = "It was the best of times, it was the worst of times.\n" * 2000
ESCAPE = "\x1b"


def steady(screen: str) -> str:
    """Replace what differs between two runs and two machines."""
    screen = re.sub(r"(?m)^(?=.{80}$)(.*/\S+)\n +", r"\1", screen)  # a path that fills the line goes on in the next
    screen = re.sub(r"/\S+(?:\n +\S*)?/\s*(?=mine|shards)", "<here>/", screen)  # a long one is broken over two lines
    screen = re.sub(r"[\d.]+ s, [\d.]+ [KMG]iB/s", "<time>, <rate>", screen)
    screen = re.sub(
        r"peak [\d.]+ [KMG]iB, budget [\d.]+ [KMG]iB \([\w ]+\)", "peak <size>, budget <size> (<who>)", screen
    )
    screen = re.sub(r"budget .*workers?\n", "budget <size> (<why>), <who>; <workers>\n", screen)
    screen = re.sub(r"budget  +.*", "budget   <size> (<why>)", screen)
    screen = re.sub(r"[\d.]+ [KMG]iB encoded again", "<size> encoded again", screen)
    return re.sub(r"(disk|workers|fits|memory(?= +\S+ \S+, whatever)) +.*", r"\1 <machine>", screen)


def test_a_finished_run(oomguard: Run, tmp_path: Path, check_screen: Check) -> None:
    (tmp_path / "train.txt").write_text(TEXT)
    run = oomguard("prepare", "train.txt", "--out", "mine")
    assert run.returncode == 0, run.stderr
    check_screen("prepare.txt", steady(run.stdout))
    check_screen("prepare-progress.txt", steady(run.stderr))
    again = oomguard("prepare", "train.txt", "--out", "mine", "--quiet")
    check_screen("prepare-again.txt", steady(again.stdout))
    assert again.stderr == ""


def test_shards_of_llmc_and_wide_ids(oomguard: Run, tmp_path: Path, check_screen: Check) -> None:
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps({"text": TEXT[:500]}) + "\n" for _ in range(40)))
    run = oomguard("prepare", "corpus.jsonl", "--format", "llmc", "--shard-tokens", "500", "--out", "shards")
    check_screen("prepare-llmc.txt", steady(run.stdout))


def test_a_dry_run(oomguard: Run, tmp_path: Path, check_screen: Check) -> None:
    (tmp_path / "train.txt").write_text(TEXT)
    run = oomguard("prepare", "--dry-run")
    check_screen("prepare-dry-run.txt", steady(run.stdout))
    assert not (tmp_path / "tokens").exists()


def test_an_error(oomguard: Run, tmp_path: Path, check_screen: Check) -> None:
    (tmp_path / "bad.txt").write_bytes(b"good " * 10 + b"\xff bad")
    run = oomguard("prepare", "bad.txt", "--quiet")
    assert run.returncode == 1
    check_screen("prepare-bad-utf8.txt", run.stderr)


def test_no_line_is_wider_than_80_columns_and_nothing_is_coloured(oomguard: Run, tmp_path: Path) -> None:
    """In a pipe, and with NO_COLOR on a terminal, there are no escape codes."""
    (tmp_path / "train.txt").write_text(TEXT)
    run = oomguard("prepare", "--val-fraction", "0", env={"NO_COLOR": "1"})
    assert ESCAPE not in run.stdout + run.stderr
    # A line to paste is never broken, and a folder's name is as long as it is.
    wide = [line for line in run.stdout.splitlines() if len(line) > 80 and str(tmp_path) not in line]
    assert wide == []


def test_a_hostile_file_name_is_shown_escaped(oomguard: Run, tmp_path: Path) -> None:
    """A name may hold anything but "/" and NUL; on the screen it does nothing."""
    name = "a\x1b]0;owned\x07[red]\nb.txt"
    (tmp_path / name).write_text(TEXT)
    run = oomguard("prepare", name, "--val-fraction", "0")
    assert run.returncode == 0, run.stderr
    assert ESCAPE not in run.stdout + run.stderr
    assert "[red]" in run.stderr
    refused = oomguard("prepare", name + "x")
    assert ESCAPE not in refused.stderr


def test_json_is_one_object_with_all_that_was_promised(oomguard: Run, tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(TEXT)
    run = oomguard("prepare", "train.txt", "--json", "--quiet")
    result = json.loads(run.stdout)
    promised = {
        "schema", "tokens", "documents", "input_bytes", "shards", "encoding", "format", "wall_seconds",
        "bytes_per_second", "budget", "peak_unreclaimable", "peak_rss", "enforced_by", "verified_documents",
    }  # fmt: skip
    assert promised <= result.keys()
    assert result["schema"] == "oomguard.shard_set/1"
    assert {"path", "split", "tokens", "sha256"} <= result["shards"][0].keys()
    assert result["input_bytes"] == len(TEXT)
