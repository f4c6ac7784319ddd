"""Inputs added to a finished set, and inputs that change before they are read: the bytes are as if given at once."""

import gzip
import json
import random
from pathlib import Path

import pytest

from oomguard.preparation.writing.formats.table import FORMATS
from tests.preparation.disturbing import sums_of
from tests.running import kill_all, run_oomguard, started, wait_until

pytestmark = pytest.mark.slow  # whole runs

SHARDS = ("--shard-tokens", "20480")  # a multiple of the block of those that have one


def options_of(name: str) -> tuple[str, ...]:
    return ("--format", name, "--quiet", "--verify", "off", *(() if name in ("nanogpt", "megatron") else SHARDS))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    chance = random.Random(2)
    for number in range(4):
        documents = [" ".join(chance.choices(["alpha", "beta", "x1"], k=chance.randrange(60))) for _ in range(700)]
        lines = "".join(json.dumps({"text": document}) + "\n" for document in documents)
        (folder / f"p{number}.jsonl").write_text(lines)
    return folder


def prepare(folder: Path, *arguments: str) -> None:
    done = run_oomguard("prepare", *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", FORMATS)
def test_files_added_to_a_finished_set(inputs: Path, tmp_path: Path, name: str) -> None:
    """As the bytes of one run over all of them; the new ones may be named alone, and the old ones be gone."""
    files = [str(inputs / f"p{number}.jsonl") for number in range(4)]
    prepare(tmp_path, *files[:2], *options_of(name), "--out", "set")
    prepare(tmp_path, *files[2:], *options_of(name), "--out", "set", "--extend")
    prepare(tmp_path, *files, *options_of(name), "--out", "at_once")
    assert sums_of(tmp_path / "set") == sums_of(tmp_path / "at_once")
    if FORMATS[name] is next(iter(FORMATS.values())):  # what is noted of the inputs is the same for all
        again = run_oomguard("prepare", *files, *options_of(name), "--out", "set", "--json", cwd=tmp_path)
        assert json.loads(again.stdout)["already_done"]


@pytest.mark.parametrize("name", ["nanogpt", "mds", "megatron"])
def test_adding_that_is_killed_resumes(inputs: Path, tmp_path: Path, name: str) -> None:
    files = [str(inputs / f"p{number}.jsonl") for number in range(4)]
    prepare(tmp_path, *files[:1], *options_of(name), "--out", "set")
    command = ("prepare", *files, *options_of(name), "--out", "set", "--extend")
    before = (tmp_path / "set" / ".oomguard" / "manifest.jsonl").stat().st_ino
    with started(*command, cwd=tmp_path, piece_bytes=1 << 14, checkpoint_seconds=0.01) as process:
        wait_until(lambda: (tmp_path / "set" / ".oomguard" / "manifest.jsonl").stat().st_ino != before)
        kill_all(process)
    prepare(tmp_path, *command[1:])
    prepare(tmp_path, *files, *options_of(name), "--out", "at_once")
    assert sums_of(tmp_path / "set") == sums_of(tmp_path / "at_once")


def test_what_cannot_be_added_to(inputs: Path, tmp_path: Path) -> None:
    files = [str(inputs / f"p{number}.jsonl") for number in range(2)]
    refused = run_oomguard("prepare", *files, "--extend", cwd=tmp_path)
    assert refused.returncode == 1
    assert "no run in tokens" in refused.stderr
    prepare(tmp_path, files[0], "--quiet")
    refused = run_oomguard("prepare", *files, cwd=tmp_path)
    assert refused.returncode == 1
    assert "--extend" in refused.stderr
    refused = run_oomguard("prepare", *files, "--extend", "--eot", "none", cwd=tmp_path)
    assert refused.returncode == 1
    assert "eot was" in refused.stderr


def test_what_was_not_read_yet_may_change(inputs: Path, tmp_path: Path) -> None:
    """A torn file that is got again, one that is taken out, another field for one: nothing that was done is lost."""
    names = [f"p{number}.jsonl.gz" for number in range(4)]
    for name in names:
        (tmp_path / name).write_bytes(gzip.compress((inputs / name.removesuffix(".gz")).read_bytes()))
    whole = (tmp_path / names[1]).read_bytes()
    (tmp_path / names[1]).write_bytes(whole[: len(whole) // 2])
    command = (*names, "--quiet", "--format", "nanogpt")
    stopped = run_oomguard("prepare", *command, cwd=tmp_path)
    assert stopped.returncode == 1
    assert f"{names[1]}: damaged or cut off" in stopped.stderr
    (tmp_path / names[1]).write_bytes(whole)
    field = (tmp_path / names[3]).read_bytes()
    (tmp_path / names[3]).write_bytes(gzip.compress(gzip.decompress(field).replace(b'"text"', b'"body"')))
    done = run_oomguard(
        "prepare", *command[:4], "--text-field", f"{names[3]}=body", *command[4:], "--json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "were done by an earlier run" in done.stdout
    prepare(tmp_path, *(str(inputs / f"p{number}.jsonl") for number in range(4)), "--quiet", "--out", "plain")
    assert sums_of(tmp_path / "tokens") == sums_of(tmp_path / "plain")


def test_a_file_that_is_taken_out(inputs: Path, tmp_path: Path) -> None:
    """Before anything of it was read."""
    good = [str(inputs / f"p{number}.jsonl") for number in range(3)]
    (tmp_path / "bad.jsonl").write_text('{"text": "a"}\n{broken\n')
    refused = run_oomguard("prepare", good[0], "bad.jsonl", *good[1:], "--quiet", cwd=tmp_path)
    assert refused.returncode == 1
    prepare(tmp_path, *good, "--quiet")
    prepare(tmp_path, *good, "--quiet", "--out", "plain")
    assert sums_of(tmp_path / "tokens") == sums_of(tmp_path / "plain")
