"""A run that goes on with another input or other options is refused, with both values, and does no harm."""

import json
import shutil
from pathlib import Path

import pytest

from tests.preparation.disturbing import FORMATS, SLOW, sums_of
from tests.preparation.expecting import last_checkpoint
from tests.reference import encoding_of
from tests.running import kill_all, run_oomguard, started, wait_until

pytestmark = pytest.mark.slow  # whole runs


@pytest.fixture
def begun(tmp_path: Path, corpus: Path) -> Path:
    """A folder with a copy of the corpus and a run over it that was killed."""
    shutil.copy(corpus / "text.txt", tmp_path)
    with started(
        "prepare", "text.txt", *FORMATS["llmc"], *SLOW, cwd=tmp_path, piece_bytes=1 << 16, checkpoint_seconds=0.01
    ) as process:
        wait_until(lambda: len(list((tmp_path / "tokens").glob("*.bin"))) >= 3)
        kill_all(process)
    return tmp_path


def test_another_option_is_refused_with_both_values(begun: Path) -> None:
    content = sums_of(begun / "tokens")
    for flags, before, now in [
        (("--eot", "none"), 'eot was "before"', 'now it is "none"'),
        (("--shard-tokens", "100"), "shard_tokens was 100000", "now it is 100"),
        (("--separator", "x"), r'separator was "\\n==\\n"', 'now it is "x"'),
        (("--encoding", "p50k_base"), 'encoding was "r50k_base"', 'now it is "p50k_base"'),
        (("--val-fraction", "0.5"), "val_fraction was null", 'now it is "0.5"'),
        (("--newlines", "universal"), 'newlines was "bytes"', 'now it is "universal"'),
        (("--name", "other"), 'name was "fineweb"', 'now it is "other"'),
        (("--format", "npy"), 'format was "llmc"', 'now it is "npy"'),
    ]:
        if flags == ("--encoding", "p50k_base"):
            encoding_of("p50k_base")  # skips where its ranks are not on this machine
        refused = run_oomguard("prepare", "text.txt", *FORMATS["llmc"], *flags, cwd=begun)
        assert refused.returncode == 1
        assert before in refused.stderr
        assert now in refused.stderr
        assert "--restart" in refused.stderr
    assert sums_of(begun / "tokens") == content


def test_what_changes_no_token_may_change(begun: Path) -> None:
    """Other workers, another budget, no verifying, quiet."""
    done = run_oomguard(
        "run",
        "--max-rss",
        "300M",
        "prepare",
        "text.txt",
        *FORMATS["llmc"],
        "--workers",
        "1",
        "--verify",
        "off",
        "--quiet",
        cwd=begun,
    )
    assert done.returncode == 0, done.stderr
    assert run_oomguard("prepare", "text.txt", *FORMATS["llmc"], "--out", "fresh", cwd=begun).returncode == 0
    assert sums_of(begun / "tokens") == sums_of(begun / "fresh")


def test_another_input_is_refused_and_restart_begins_anew(begun: Path) -> None:
    """A byte more in the file, or only another time of change: it may be another text."""
    with (begun / "text.txt").open("a") as file:
        file.write("x")
    refused = run_oomguard("prepare", "text.txt", *FORMATS["llmc"], cwd=begun)
    size = (begun / "text.txt").stat().st_size
    assert refused.returncode == 1
    assert f"{size - 1:,} bytes" in refused.stderr
    assert f"{size:,} bytes" in refused.stderr
    again = run_oomguard("prepare", "text.txt", *FORMATS["llmc"], "--restart", cwd=begun)
    assert again.returncode == 0, again.stderr
    fresh = run_oomguard("prepare", "text.txt", *FORMATS["llmc"], "--out", "fresh", cwd=begun)
    assert fresh.returncode == 0
    assert sums_of(begun / "tokens") == sums_of(begun / "fresh")


def test_a_finished_shard_that_is_gone_is_noticed(begun: Path) -> None:
    """Otherwise the end would show shards of which one is not there."""
    first = begun / "tokens" / "fineweb_val_000000.bin"
    first.unlink()
    refused = run_oomguard("prepare", "text.txt", *FORMATS["llmc"], cwd=begun)
    assert refused.returncode == 1
    assert first.name in refused.stderr
    assert "--restart" in refused.stderr
    assert run_oomguard("prepare", "text.txt", *FORMATS["llmc"], "--restart", cwd=begun).returncode == 0


def test_progress_of_a_dry_run_is_that_of_the_killed_one(begun: Path) -> None:
    shown = json.loads(run_oomguard("prepare", "text.txt", *FORMATS["llmc"], "--dry-run", "--json", cwd=begun).stdout)
    assert shown["done_bytes"] == last_checkpoint(begun / "tokens")["totals"]["input_bytes"] > 0
