"""`--last-shard fold`: a last shard that is not full joins the one before it, also when the run was stopped anywhere."""

import itertools
import json
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from oomguard.errors import BadInput
from oomguard.preparation.conversion_sink import open_sink
from oomguard.preparation.options import PrepareOptions, resolve_options
from oomguard.preparation.writing.formats.layout_options import find_format, new_layout
from oomguard.preparation.writing.token_sink import EncodedPiece, Totals
from tests.preparation.reading.token_streams import files_in
from tests.preparation.writing.formats.readers import READERS

Run = Callable[..., subprocess.CompletedProcess[str]]
FULL, PIECE, PIECES = 100, 30, 14  # four shards and 20 tokens
SHARDED = ["npy", "llmc", "datatrove", "olmo", "arrow", "litdata", "mds"]


class Killed(Exception):
    """Where a run ends."""


def piece(number: int) -> EncodedPiece:
    """Three documents of ten tokens."""
    tokens = range(number * PIECE, (number + 1) * PIECE)
    data = b"".join(token.to_bytes(2, "little") for token in tokens)
    ends = b"".join(end.to_bytes(8, "little") for end in (10, 20, 30))
    return EncodedPiece(
        tokens=memoryview(data),
        ends=memoryview(ends).cast("q"),
        split="train",
        count=Totals(tokens=PIECE, documents=3),
        position={"piece": number + 1},
    )


def write(out: Path, name: str, *, fold: bool = True, pieces: int = PIECES, killed_at: str = "") -> None:
    """Go on with a run, which ends before the line `killed_at` of the manifest once all pieces were taken."""
    output = find_format(name)
    layout = new_layout(
        output,
        token_bytes=2,
        name=None,
        shard_tokens=FULL,
        block_size=10 if name in ("litdata", "mds") else None,
        tokenizer="",
        last_shard="fold" if fold else "keep",
    )
    with ExitStack() as stack:
        sink = open_sink(stack, out, output, layout, {"input": []}, restart=False, checkpoint_seconds=0.0)
        for number in range(sink.sink.position.get("piece", 0), pieces):
            sink.sink.take(piece(number))
        if pieces < PIECES:
            return
        append = sink.manifest.append
        if killed_at:
            sink.sink.checkpoint()

            def until(**line: object) -> None:
                if killed_at in line and (killed_at != "checkpoint" or sink.sink.shards[-1]["tokens"] > FULL):
                    raise Killed
                append(**line)

            sink.manifest.append = until  # type: ignore[method-assign]
        sink.sink.finish()


def sizes(out: Path) -> list[int]:
    lines = (out / ".oomguard" / "manifest.jsonl").read_bytes().splitlines()
    return [json.loads(line)["shard"]["tokens"] for line in lines if line.startswith(b'{"shard"')]


@pytest.mark.parametrize("name", SHARDED)
def test_a_short_last_shard_joins_the_one_before(tmp_path: Path, name: str) -> None:
    """No token is lost or moved: the others are as they are without it."""
    write(tmp_path / "keep", name, fold=False)
    write(tmp_path / "fold", name)
    assert sizes(tmp_path / "keep") == [100, 100, 100, 100, 20]
    assert sizes(tmp_path / "fold") == [100, 100, 100, 120]
    keep, fold = (READERS[name](tmp_path / folder, "train", 2) for folder in ("keep", "fold"))
    assert list(fold[0]) == list(keep[0]) == list(range(PIECE * PIECES))
    if find_format(name).keeps_documents:
        assert fold[1] is not None
        assert list(itertools.chain.from_iterable(fold[1])) == list(range(PIECE * PIECES))


@pytest.mark.parametrize("name", ["npy", "llmc", "olmo", "arrow", "litdata"])
def test_a_run_that_was_stopped_anywhere_ends_with_the_same_bytes(tmp_path: Path, name: str) -> None:
    """After each piece, and between the name of the joined shard and the checkpoint behind it."""
    write(tmp_path / "whole", name)
    out = tmp_path / "stopped"
    for pieces in range(1, PIECES):
        write(out, name, pieces=pieces)
    for line in ("naming", "shard", "checkpoint"):
        with pytest.raises(Killed):
            write(out, name, killed_at=line)
    write(out, name)
    assert files_in(out) == files_in(tmp_path / "whole")
    assert not list((out / ".oomguard").glob("*.partial"))


@pytest.mark.parametrize("name", ["npy", "datatrove"])
def test_a_set_whose_last_shard_was_folded_is_done(oomguard: Run, tmp_path: Path, name: str) -> None:
    """The same command once more only says so, and makes the shards again where they were lost with their result."""
    (tmp_path / "a.jsonl").write_text(
        "".join(json.dumps({"text": f"{number} word " * 9}) + "\n" for number in range(99))
    )
    command = ("prepare", "a.jsonl", "--format", name, "--shard-tokens", "512", "--last-shard", "fold")
    first = oomguard(*command)
    assert first.returncode == 0, first.stderr
    made = files_in(tmp_path / "tokens")
    again = oomguard(*command)
    assert again.returncode == 0, again.stderr
    assert "already done" in again.stdout
    manifest = tmp_path / "tokens/.oomguard/manifest.jsonl"
    lines = manifest.read_bytes().splitlines(keepends=True)
    manifest.write_bytes(b"".join(line for line in lines if b'"result"' not in line))
    killed = oomguard(*command)  # as one that was killed just before
    assert killed.returncode == 0, killed.stderr
    assert files_in(tmp_path / "tokens") == made


def test_what_it_cannot_work_with_is_refused_with_a_way_out() -> None:
    """One file a split has no shards; --extend fills up a shard that is no longer there."""
    with pytest.raises(BadInput, match="one file for each split"):
        resolve_options(PrepareOptions(format="nanogpt", last_shard="fold"))
    with pytest.raises(BadInput, match="--extend fills the last shard up"):
        resolve_options(PrepareOptions(format="npy", last_shard="fold", extend=True))
    with pytest.raises(BadInput, match=r"unknown --last-shard .drop."):
        resolve_options(PrepareOptions(format="npy", last_shard="drop"))
