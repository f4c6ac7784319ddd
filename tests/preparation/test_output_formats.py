"""`prepare` in each format, from documents to what its loader sees, also when it is killed on the way."""

import itertools
import json
import os
import random
import subprocess
import sys
import time
from fractions import Fraction
from math import ceil
from pathlib import Path

import pytest

from oomguard.preparation.inspection import inspect
from oomguard.preparation.writing.formats.table import FORMATS
from tests.preparation.expecting import tokens_of
from tests.preparation.reading.token_streams import files_in
from tests.preparation.writing.formats.readers import READERS
from tests.running import kill_all, wait_until

pytestmark = pytest.mark.slow  # whole runs
NEW = ["megatron", "datatrove", "olmo", "arrow", "litdata", "mds"]
CHANCE = random.Random(11)
WORDS = ["It", " was", " the", " best", "\n", " été", " 字", " 1775"]
DOCUMENTS = [
    "",
    *("".join(CHANCE.choices(WORDS, k=CHANCE.choice([0, 3, 90, 900]))) for _ in range(300)),
    " word" * 40_000,
]


def command(folder: Path, name: str, out: Path, *more: str) -> list[str]:
    shards = [] if FORMATS[name].one_file else ["--shard-tokens", "16384"]
    flags = ["--format", name, "--out", str(out), "--val-fraction", "0.1", "--quiet", *shards, *more]
    return [sys.executable, "-m", "oomguard", "prepare", str(folder / "in.jsonl"), *flags]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in")
    (folder / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in DOCUMENTS))
    return folder


def check(out: Path, name: str, *, encoding: str = "gpt2", width: int = 2) -> None:
    """Every token and every document end are tiktoken's."""
    fraction = Fraction("0.1")
    for split in ("train", "val"):
        texts = [
            text
            for number, text in enumerate(DOCUMENTS)
            if (ceil((number + 1) * fraction) > ceil(number * fraction)) == (split == "val")
        ]
        documents = [tokens_of([text], encoding=encoding) for text in texts]
        tokens, parts = READERS[name](out, split, width)
        assert tokens == list(itertools.chain.from_iterable(documents)), split
        if name in ("megatron", "datatrove", "olmo", "arrow"):
            assert parts == documents, split


@pytest.mark.parametrize("name", NEW)
def test_each_loader_sees_tiktokens_tokens_and_a_killed_run_gives_the_same_files(
    tmp_path: Path, source: Path, name: str
) -> None:
    whole = tmp_path / "whole"
    subprocess.run(command(source, name, whole), check=True, capture_output=True)
    check(whole, name)
    found = inspect(whole)
    assert found.is_sound
    assert found.has_manifest
    kills = 0
    for begins in (".oomguard/manifest.jsonl", ".oomguard/*.partial"):
        child = subprocess.Popen(
            command(source, name, tmp_path / "out"),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
        )  # fmt: skip
        wait_until(lambda: any((tmp_path / "out").glob(begins)) or child.poll() is not None)  # noqa: B023
        time.sleep(random.uniform(0, 0.1))
        kill_all(child)
        kills += child.returncode != 0
    subprocess.run(command(source, name, tmp_path / "out"), check=True, capture_output=True)
    assert kills
    assert files_in(tmp_path / "out") == files_in(whole)
    again = subprocess.run(command(source, name, whole), check=True, capture_output=True, text=True)
    assert "already done" in again.stdout


def test_wide_ids(tmp_path: Path, source: Path) -> None:
    data = os.environ.get("OOMGUARD_DATA")
    if data is None:
        pytest.skip("needs cl100k_base.tiktoken: set OOMGUARD_DATA to a folder with vocab/cl100k_base.tiktoken")
    environment = {**os.environ, "TIKTOKEN_CACHE_DIR": str(Path(data, "vocab"))}
    for name in ("megatron", "arrow", "llmc"):
        more = ["--encoding", "cl100k_base", "--eot", "after"]
        subprocess.run(command(source, name, tmp_path / name, *more), check=True, capture_output=True, env=environment)
        check(tmp_path / name, name, encoding="cl100k_base", width=4)


def test_no_train_shard_is_said_before_the_run(tmp_path: Path) -> None:
    """cases/C7: with --dry-run, when the run starts, and in plan."""
    text = tmp_path / "in.txt"
    text.write_text("It was the best of times. " * 200)
    base = [sys.executable, "-m", "oomguard"]
    dry = [*base, "prepare", str(text), "--format", "llmc", "--out", str(tmp_path / "out"), "--dry-run"]
    assert "nothing would be left to train on" in " ".join(subprocess.check_output(dry, text=True).split())
    plan = [*base, "plan", str(text), "--format", "npy", "--no-calibration", "--out", str(tmp_path / "out")]
    assert "nothing would be left to train on" in " ".join(subprocess.check_output(plan, text=True).split())
    started = subprocess.run([part for part in dry if part != "--dry-run"], capture_output=True, text=True, check=True)
    assert "nothing would be left to train on" in " ".join(started.stderr.split())
    assert "next: nothing can be trained on this yet" in " ".join(started.stdout.split())
    assert "fineweb_train_" not in started.stdout
