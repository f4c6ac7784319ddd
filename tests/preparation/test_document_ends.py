"""The end of a document is a place to cut in any script: short documents are never one long word."""

import json
import random
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.preparation.expecting import read_tokens, tokens_of

Run = Callable[..., subprocess.CompletedProcess[str]]
SEPARATOR = "<|endoftext|>"


def documents_without_cuts() -> list[str]:
    """Documents in which `last_safe_cut` finds nothing, some megabytes of each script; tiktoken takes each soon."""
    chance = random.Random(3)
    return [
        *["ก" * 300] * 3000,
        *("".join(chance.choices("कखगघचछजझटठ", k=40)) for _ in range(20_000)),
        *("".join(chance.choices("ACGT", k=300)) for _ in range(8000)),
        *[""] * 200_000,
        *[" " * 200] * 10_000,
        "end",
    ]


def write(folder: Path, name: str, documents: Sequence[str], separator: str = SEPARATOR) -> Path:
    file = folder / name
    if name.endswith(".jsonl"):
        file.write_text("".join(json.dumps({"text": document}) + "\n" for document in documents))
    elif name.endswith(".parquet"):
        pq.write_table(pa.table({"text": documents}), file)
    else:
        file = folder / "text.txt"
        file.write_text(separator.join(documents) + separator)
    if name.endswith(".gz"):
        subprocess.run(["gzip", str(file)], check=True)
    return folder / name


@pytest.mark.parametrize("name", ["text.txt", "text.txt.gz", "text.jsonl", "text.parquet"])
def test_short_documents_of_any_script_fit_the_smallest_budget(oomguard: Run, tmp_path: Path, name: str) -> None:
    """With tiktoken's tokens, and a part of them checked."""
    documents = documents_without_cuts()
    write(tmp_path, name, documents)
    options = ["prepare", name, "--val-fraction", "0", "--workers", "1", "--json"]
    refused = oomguard("run", "--max-rss", "20M", *options)
    smallest = re.search(r"--max-rss (\d+M) or more", refused.stderr)
    assert smallest, refused.stderr
    separator = ("--separator", SEPARATOR) if "txt" in name else ()
    done = oomguard("run", "--max-rss", smallest[1], *options, *separator)
    assert done.returncode == 0, done.stderr
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of(documents)
    made = json.loads(done.stdout)
    assert made["documents"] == len(documents)
    assert (made["verified_bytes"] > 0) == (made["engine"] == "core")  # what tiktoken itself encoded is not checked
    assert made["verified_bytes"] <= made["input_bytes"]


@pytest.mark.parametrize(
    ("separator", "newlines"), [("aa", "bytes"), (r"\n\n", "universal"), (r"\n\n", "bytes"), (r"x\n", "universal")]
)
def test_separators_that_overlap_themselves_are_told_apart(
    oomguard: Run, tmp_path: Path, separator: str, newlines: str
) -> None:
    """In a run of them only the text before says which ones count; odd lengths show it, as do line ends of two bytes."""
    between = separator.replace(r"\n", "\n")
    chance = random.Random(4)
    ends = ["\n", "\r", "\r\n"] if newlines == "universal" else ["\n"]
    text = ""
    while len(text) < 2_500_000:
        run = between * chance.choice([1, 2, 300_000]) + between[0] * chance.randrange(2)
        text += "".join(chance.choice(ends) if c == "\n" else c for c in run) + "ก" * chance.choice([1, 300])
    (tmp_path / "text.txt").write_text(text, newline="")
    read = text.replace("\r\n", "\n").replace("\r", "\n") if newlines == "universal" else text
    options = ("--val-fraction", "0", "--separator", separator, "--newlines", newlines)
    done = oomguard("prepare", "text.txt", *options)
    assert done.returncode == 0, done.stderr
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of(read.split(between))


def test_why_nothing_was_checked_is_said(oomguard: Run, tmp_path: Path) -> None:
    """One word of 3 MB is more than tiktoken takes; --verify off is said where it was asked."""
    (tmp_path / "text.txt").write_text("a" * 3_000_000)
    for verify in ("sample", "full"):
        done = oomguard("prepare", "text.txt", "--val-fraction", "0", "--verify", verify, "--restart")
        assert done.returncode == 0, done.stderr
        assert "--verify off" not in done.stdout
        by_the_core = "with tiktoken" not in done.stderr.splitlines()[0]
        why = (
            "cannot be cut into parts that tiktoken can encode"
            if by_the_core
            else "nothing: tiktoken itself did the work"
        )
        assert why in " ".join(done.stdout.split())
    again = oomguard("prepare", "text.txt", "--val-fraction", "0", "--verify", "off", "--restart")
    assert "nothing (--verify off)" in again.stdout
