"""--provenance: each document's row leads to its source, to the place there, and to its tokens."""

import json
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.preparation.disturbing import SLOW, bytes_written, sums_of
from tests.preparation.expecting import last_checkpoint, tokens_of
from tests.preparation.kinds_of_input import KINDS, document_at, some_documents, write_kind
from tests.properties import some_of
from tests.running import kill_all, run_oomguard, started, wait_until

pytestmark = pytest.mark.slow  # whole runs
Run = Callable[..., subprocess.CompletedProcess[str]]


def rows_of(out: Path) -> list[dict[str, Any]]:
    return [row for file in sorted(out.glob("provenance-*.parquet")) for row in pq.read_table(file).to_pylist()]


def streams_of(out: Path, header: int = 0) -> dict[str, list[int]]:
    """The tokens of each split, shard after shard."""
    return {
        split: [
            token
            for shard in sorted(out.glob(f"*{split}*.bin"))
            for token in np.frombuffer(shard.read_bytes()[header:], "<u2").tolist()
        ]
        for split in ("train", "val")
    }


def has_written(folder: Path, size: float) -> bool:
    return folder.exists() and bytes_written(folder) >= size


@pytest.mark.parametrize("kind", some_of(list(KINDS), one_in=2))
def test_every_row_leads_to_its_document_and_its_tokens(tmp_path: Path, kind: str) -> None:
    """Also where documents lie in several chunks, and some are for validation; rows divide all tokens."""
    documents = some_documents(600)
    name, options = write_kind(kind, tmp_path, documents)
    command = ("prepare", name, *options, "--provenance", "--val-fraction", "0.03", "--json", "--workers", "1")
    with started(*command, cwd=tmp_path, piece_bytes=1 << 12) as process:
        shown, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    made = json.loads(shown)
    assert [file["path"] for file in made["files"]] == ["provenance-00000.parquet"]
    out, streams = tmp_path / "tokens", streams_of(tmp_path / "tokens")
    rows = rows_of(out)
    assert [row["document"] for row in rows] == list(range(600))
    done = {"train": 0, "val": 0}
    for row, document in zip(rows, documents, strict=True):
        assert row["first_token"] == done[row["split"]]
        done[row["split"]] += row["tokens"]
        found = document_at(kind, row["source"], row["offset"])
        assert found == document
        text = "\n" if kind == "tar" and row["source"].endswith(".txt") and not found else found
        own = streams[row["split"]][row["first_token"] : row["first_token"] + row["tokens"]]
        assert own == tokens_of([text])
    assert done == {split: len(tokens) for split, tokens in streams.items()}
    assert done["val"]


def test_a_killed_run_gives_the_same_files(tmp_path: Path) -> None:
    """Also the rows of a document that is open when the run is killed, and of tar, whose names are members'."""
    name, options = write_kind("tar", tmp_path, some_documents())
    write_kind("text", tmp_path, some_documents())
    command = ("prepare", name, "a.txt", *options, "--separator", r"\n==\n", "--provenance", "--val-fraction", "0.1")
    made = run_oomguard(*command, "--out", "undisturbed", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    whole = bytes_written(tmp_path / "undisturbed")
    for share in (0.1, 0.6):
        with started(*command, *SLOW, cwd=tmp_path, piece_bytes=1 << 16, checkpoint_seconds=0.01) as process:
            wait_until(partial(has_written, tmp_path / "tokens", share * whole))
            kill_all(process)
        assert last_checkpoint(tmp_path / "tokens")["totals"]["tokens"]
    done = run_oomguard(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sums_of(tmp_path / "tokens") == sums_of(tmp_path / "undisturbed")
    assert not [*(tmp_path / "tokens" / ".oomguard").glob("*.partial")]


def test_files_added_to_a_finished_set(tmp_path: Path) -> None:
    """As if they had been given at once; the last file with provenance is made again."""
    for kind in ("jsonl", "parquet"):
        write_kind(kind, tmp_path, some_documents(300))
    command = ("prepare", "--provenance", "--val-fraction", "0.1", "--quiet", "--verify", "off")
    for inputs in (["a.jsonl"], ["a.jsonl", "a.parquet", "--extend"]):
        done = run_oomguard(*command, *inputs, "--out", "set", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert run_oomguard(*command, "a.jsonl", "a.parquet", "--out", "at_once", cwd=tmp_path).returncode == 0
    assert sums_of(tmp_path / "set") == sums_of(tmp_path / "at_once")
    assert len(rows_of(tmp_path / "set")) == 600


def test_one_text_has_a_row_in_each_split(tmp_path: Path) -> None:
    """Its end is for validation: from the byte on that its second row says."""
    (tmp_path / "a.txt").write_text("one two three four five six seven\n" * 2000)
    done = run_oomguard("prepare", "a.txt", "--provenance", "--val-fraction", "0.2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows, streams = rows_of(tmp_path / "tokens"), streams_of(tmp_path / "tokens")
    assert [(row["document"], row["split"]) for row in rows] == [(0, "train"), (0, "val")]
    text = (tmp_path / "a.txt").read_text()
    cut = rows[1]["offset"]
    assert [streams["train"], streams["val"]] == [tokens_of([text[:cut]]), tokens_of([text[cut:]])]
    assert [row["tokens"] for row in rows] == [len(streams["train"]), len(streams["val"])]


def test_the_first_shard_for_validation_ends_within_a_document(tmp_path: Path) -> None:
    name, _ = write_kind("jsonl", tmp_path, some_documents(300))
    options = ("--format", "llmc", "--shard-tokens", "5000", "--provenance", "--name", "n")
    done = run_oomguard("prepare", name, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows, streams = rows_of(tmp_path / "tokens"), streams_of(tmp_path / "tokens", header=1024)
    together: dict[int, list[int]] = {}
    for row in rows:
        own = streams[row["split"]][row["first_token"] : row["first_token"] + row["tokens"]]
        together.setdefault(row["document"], []).extend(own)
    assert len(rows) == 301
    assert sum(row["tokens"] for row in rows if row["split"] == "val") == 5000
    expected = [tokens_of([document], eot="before") for document in some_documents(300)]
    assert [together[number] for number in range(300)] == expected
    shard = sorted((tmp_path / "tokens").glob("n_train_*.bin"))[1]
    shown = run_oomguard("inspect", "tokens", "--token", f"{shard.name}:7", "--json", cwd=tmp_path)
    traced = json.loads(shown.stdout)
    assert (traced["token"], traced["token_in_shard"], traced["id"]) == (5007, 7, streams["train"][5007])
    row = traced["rows"][0]
    assert row["first_token"] <= 5007 < row["first_token"] + row["tokens"]
    assert row["source"] == str(tmp_path / name)
    whole = json.loads(run_oomguard("inspect", "tokens", "--document", "4", "--json", cwd=tmp_path).stdout)
    assert whole["rows"][0]["offset"] == rows[4]["offset"]


def test_line_ends_that_are_unified_and_rows_that_are_left_out(tmp_path: Path) -> None:
    """Offsets are of the file as it lies there."""
    texts = ["one\r\ntwo", "", "x\ry", "end"]
    (tmp_path / "a.txt").write_bytes("\r\n--\r\n".join(texts).encode())
    lines = [b'{"text": "a"}', b"", b"{broken", b'{"text": "b"}']
    (tmp_path / "b.jsonl").write_bytes(b"\n".join(lines))
    options = ("--newlines", "universal", "--separator", r"\n--\n", "--errors", "skip", "--provenance")
    done = run_oomguard("prepare", "a.txt", "b.jsonl", *options, "--val-fraction", "0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    data = (tmp_path / "a.txt").read_bytes()
    rows = rows_of(tmp_path / "tokens")
    assert [data[row["offset"] :].startswith(text.encode()) for row, text in zip(rows, texts, strict=False)] == [
        True
    ] * 4
    assert [row["offset"] for row in rows] == [0, 14, 20, 29, 0, len(b"\n".join(lines[:3])) + 1]


def test_a_bad_file_keeps_what_comes_before(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one two " * 3000 + b"\n==\nbefore \xff behind\n==\n")
    (tmp_path / "b.txt").write_text("next")
    options = ("--separator", r"\n==\n", "--bad-files", "skip", "--provenance", "--val-fraction", "0")
    with started("prepare", "a.txt", "b.txt", *options, cwd=tmp_path, piece_bytes=1 << 12) as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    rows, tokens = rows_of(tmp_path / "tokens"), streams_of(tmp_path / "tokens")["train"]
    assert [(row["source"][-5:], row["offset"]) for row in rows] == [("a.txt", 0), ("a.txt", 24004), ("b.txt", 0)]
    assert tokens == tokens_of(["one two " * 3000, "before ", "next"])
    assert sum(row["tokens"] for row in rows) == len(tokens)
