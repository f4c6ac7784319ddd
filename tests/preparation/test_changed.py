"""A run that goes on with another input or other options is refused, with both values, and does no harm."""

import gzip
import itertools
import json
import lzma
import os
import shutil
from pathlib import Path

import pytest

from oomguard.units import format_size
from tests.preparation.disturbing import FORMATS, SLOW, bytes_written, sums_of
from tests.preparation.expecting import last_checkpoint
from tests.properties import some_of
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


KINDS = {
    "text.txt": ("nanogpt", SLOW),
    "text.jsonl.gz": ("nanogpt", SLOW),
    "text.jsonl": ("nanogpt", SLOW),
    "text.txt.xz": ("nanogpt", SLOW),
    "text.parquet": ("nanogpt", SLOW),
}


@pytest.fixture(scope="module")
def inputs(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus in all kinds of file."""
    folder = tmp_path_factory.mktemp("inputs")
    for name in ("text.txt", "text.jsonl.gz", "text.parquet"):
        shutil.copy(corpus / name, folder)
    (folder / "text.jsonl").write_bytes(gzip.decompress((corpus / "text.jsonl.gz").read_bytes()))
    (folder / "text.txt.xz").write_bytes(lzma.compress((corpus / "text.txt").read_bytes(), preset=0))
    return folder


def killed_half_way(folder: Path, inputs: Path, name: str) -> tuple[Path, tuple[str, ...]]:
    """Give the copy of an input in `folder` and the command that was killed over it."""
    shutil.copy(inputs / name, folder)
    kind, slow = KINDS[name]
    command = ("prepare", name, "--quiet", *FORMATS[kind])
    with started(*command, *slow, cwd=folder, piece_bytes=1 << 16, checkpoint_seconds=0.01) as process:
        # A chunk of parquet is a page, so the first checkpoint may come late.
        wait_until(lambda: bytes_written(folder / "tokens") > 400_000 and bool(last_checkpoint(folder / "tokens")))
        kill_all(process)
    assert last_checkpoint(folder / "tokens")["totals"]["tokens"] > 0
    return folder / name, command


def change_a_byte(file: Path, at: int) -> None:
    """In place, with size and mtime as they were."""
    status = file.stat()
    with file.open("r+b") as same:
        byte = os.pread(same.fileno(), 1, at)[0]
        os.pwrite(same.fileno(), bytes([byte ^ 1]), at)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("name", KINDS)
def test_a_byte_that_changed_under_the_same_mtime_is_a_change(tmp_path: Path, inputs: Path, name: str) -> None:
    """In what was read before: refused, with nothing lost, and the same bytes again are gone on with."""
    file, command = killed_half_way(tmp_path, inputs, name)
    before = sums_of(tmp_path / "tokens")
    change_a_byte(file, 5000)
    refused = run_oomguard(*command, cwd=tmp_path)
    assert refused.returncode == 1
    assert f"{name} was " in refused.stderr
    assert "--restart" in refused.stderr
    assert sums_of(tmp_path / "tokens") == before
    change_a_byte(file, 5000)
    assert_goes_on(tmp_path, command)


def assert_goes_on(folder: Path, command: tuple[str, ...]) -> None:
    """And ends with what a fresh run gives."""
    done = run_oomguard(*command, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "were done by an earlier run" in done.stdout
    assert run_oomguard(*command, "--out", "fresh", cwd=folder).returncode == 0
    assert sums_of(folder / "tokens") == sums_of(folder / "fresh")


@pytest.mark.parametrize(
    ("name", "how"), some_of(list(itertools.product(KINDS, ("touched", "copied", "mode"))), one_in=2)
)
def test_the_same_bytes_are_the_same_input(tmp_path: Path, inputs: Path, name: str, how: str) -> None:
    """Whatever their times and inode."""
    file, command = killed_half_way(tmp_path, inputs, name)
    match how:
        case "touched":
            file.touch()
        case "copied":
            shutil.copyfile(file, tmp_path / "copy")
            (tmp_path / "copy").replace(file)
        case _:
            file.chmod(0o600)
    assert_goes_on(tmp_path, command)


@pytest.mark.parametrize("name", KINDS)
def test_a_finished_run_is_not_shown_for_another_input(tmp_path: Path, inputs: Path, name: str) -> None:
    """A touch is none."""
    shutil.copy(inputs / name, tmp_path)
    command = ("prepare", name, "--quiet", "--json", *FORMATS[KINDS[name][0]])
    assert run_oomguard(*command, cwd=tmp_path).returncode == 0
    (tmp_path / name).touch()
    assert json.loads(run_oomguard(*command, cwd=tmp_path).stdout)["already_done"]
    size = (tmp_path / name).stat().st_size
    change_a_byte(tmp_path / name, size // 2)
    refused = run_oomguard(*command, cwd=tmp_path)
    assert refused.returncode == 1
    assert f"{name} was changed" in refused.stderr


def test_a_byte_that_changes_while_it_is_read_is_a_change(tmp_path: Path, inputs: Path) -> None:
    """Behind the reader, with its mtime kept."""
    shutil.copy(inputs / "text.txt", tmp_path)
    command = ("prepare", "text.txt", "--quiet", *FORMATS["nanogpt"])
    with started(*command, *SLOW, cwd=tmp_path, piece_bytes=1 << 16) as process:
        wait_until(lambda: bytes_written(tmp_path / "tokens") > 400_000)
        change_a_byte(tmp_path / "text.txt", 5000)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "text.txt was changed" in said
    assert not (tmp_path / "tokens" / "train.bin").exists()


def test_another_input_is_refused_and_restart_begins_anew(begun: Path) -> None:
    """A byte more in the file."""
    with (begun / "text.txt").open("a") as file:
        file.write("x")
    refused = run_oomguard("prepare", "text.txt", *FORMATS["llmc"], cwd=begun)
    size = (begun / "text.txt").stat().st_size
    assert refused.returncode == 1
    assert refused.stderr.count(format_size(size)) == 2  # its time tells them apart
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
