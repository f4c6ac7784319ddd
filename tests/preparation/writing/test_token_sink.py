"""Tokens in pieces become the same shards however they come, and whatever ends the run on the way."""

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oomguard.errors import OomguardError
from oomguard.preparation.running import try_checkpoint
from oomguard.preparation.writing.manifest import Manifest
from oomguard.preparation.writing.token_sink import EncodedPiece, Totals
from tests.preparation.expecting import last_checkpoint
from tests.preparation.reading.token_streams import Stream, files_in, write_all
from tests.properties import examples, steps

STREAMS = [
    Stream("nanogpt", val_fraction="0.25"),
    Stream("nanogpt", val_fraction="0"),
    Stream("llmc", shard_tokens=50),
    Stream("npy", shard_tokens=50, val_fraction="0.3"),
    Stream("npy", shard_tokens=60, token_bytes=4),
]
DURABLE = ["write", "pwrite", "fsync", "fdatasync", "ftruncate", "rename", "replace"]


def named(stream: Stream) -> str:
    return f"{stream.format}-{stream.shard_tokens}-{stream.val_fraction}"


class Crash(BaseException):
    """The process is gone."""


class Step:
    """Counts what changes the disk and lets one of these calls go wrong."""

    def __init__(self, at: int, failure: Callable[[], BaseException]) -> None:
        self.at, self.failure, self.done = at, failure, 0

    def wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.done += 1
            if self.done != self.at:
                return None if name in ("fsync", "fdatasync") else real(*arguments, **options)
            if name == "write":
                real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])  # torn
            raise self.failure()

        return call


@contextmanager
def going_wrong(at: int, failure: Callable[[], BaseException]) -> Iterator[Step]:
    """Let the call number `at` that changes the disk fail; syncing does nothing, which is fast."""
    step = Step(at, failure)
    with pytest.MonkeyPatch.context() as patch:
        for name in DURABLE:
            patch.setattr(os, name, step.wrap(name, getattr(os, name)))
        yield step


@examples(150)
@given(
    stream=st.builds(
        Stream,
        format=st.sampled_from(["npy", "llmc"]),
        shard_tokens=st.integers(7, 60),  # each shard is eight files that are opened
        seed=st.integers(0, 9),
        val_fraction=st.sampled_from([None, "0", "0.1", "1/3", "0.99"]),
    ),
    size=st.integers(1, 300),
)
@example(stream=Stream(format="npy", shard_tokens=1, seed=1, val_fraction="0.1"), size=2)
def test_shards_do_not_depend_on_the_pieces(
    tmp_path_factory: pytest.TempPathFactory, stream: Stream, size: int
) -> None:
    """And are what the whole, cut in one go, gives."""
    folder = tmp_path_factory.mktemp("out")
    with going_wrong(0, Crash):
        sink = write_all(stream, folder, size=size, checkpoint_seconds=1e9)
    assert files_in(folder) == stream.expected()
    assert {shard["path"]: shard["sha256"] for shard in sink.shards} == {
        name: hashlib.sha256(content).hexdigest() for name, content in stream.expected().items()
    }
    assert sink.totals == Totals(tokens=sum(map(len, stream.documents)), documents=30)
    assert sum(shard["tokens"] for shard in sink.shards) == sink.totals.tokens


@pytest.mark.slow
@pytest.mark.parametrize("stream", STREAMS, ids=named)
@pytest.mark.parametrize("checkpoint_seconds", [0.0, 1e9], ids=["often", "never"])
def test_a_crash_at_any_step_changes_nothing(tmp_path: Path, stream: Stream, checkpoint_seconds: float) -> None:
    """Each step that changes the disk is the last one in turn; what no checkpoint covers is lost with the power."""
    for at in steps(one_in=4):
        folder = tmp_path / str(at)
        try:
            with going_wrong(at, Crash):
                write_all(stream, folder, size=13, checkpoint_seconds=checkpoint_seconds)
        except Crash:
            lose_what_was_not_synced(folder)
        else:
            break
        with going_wrong(0, Crash):
            sink = write_all(stream, folder, size=29)
        assert files_in(folder) == stream.expected(), f"crash at step {at}"
        assert {shard["path"] for shard in sink.shards} == set(stream.expected())
    assert at > 12


def lose_what_was_not_synced(folder: Path) -> None:
    """A power cut: bytes of open shards behind the last checkpoint are anything."""
    state = folder / ".oomguard"
    checkpoint = last_checkpoint(folder) if (state / "manifest.jsonl").exists() else None
    kept = checkpoint["open"] if checkpoint else {}
    for partial in state.glob("*.partial"):
        split = {"t": "train", "v": "val"}[partial.name[0]]
        at = kept.get(split, {"index": -1, "tokens": 0})
        size = at["tokens"] * 4 + 2000 if partial.name.endswith(f"{at['index']:06d}.partial") else 0
        if partial.name.endswith(f"{at['index']:06d}.ends.partial"):
            size = at.get("documents", 0) * 8
        data = partial.read_bytes()
        partial.write_bytes(data[:size] + b"\xaa" * (len(data) - size))


@pytest.mark.slow
@pytest.mark.parametrize("stream", STREAMS, ids=named)
def test_a_disk_that_fails_at_any_step_is_an_error_and_changes_nothing(tmp_path: Path, stream: Stream) -> None:
    """Full, or broken: an error that says so; what the run then keeps is whole, and the next one goes on from it."""
    for at in steps(one_in=4):
        folder = tmp_path / str(at)
        try:
            with going_wrong(at, lambda: OSError(errno.ENOSPC, "No space left on device")), ExitStack() as stack:
                manifest = stack.enter_context(closing(Manifest(folder)))
                progress = manifest.begin({"stream": stream.seed}, restart=False)
                sink = stack.enter_context(closing(stream.sink(folder, manifest)))
                sink.resume(progress)
                try:
                    for piece in stream.pieces(sink.position, 13):
                        sink.take(piece)
                    sink.finish()
                except OomguardError as error:
                    assert "No space left" in str(error)
                    try_checkpoint(sink)
                else:
                    break
        except OomguardError as error:
            assert "No space left" in str(error)
        with going_wrong(0, Crash):
            write_all(stream, folder, size=29)
        assert files_in(folder) == stream.expected(), f"failure at step {at}"
    assert at > 12


def test_checkpoints_come_by_the_clock(tmp_path: Path) -> None:
    """So that at most that much work is lost."""
    now = [0.0]
    stream = Stream("nanogpt", val_fraction="0.1")
    manifest = Manifest(tmp_path)
    manifest.begin({}, restart=False)
    sink = stream.sink(tmp_path, manifest, checkpoint_seconds=10)
    sink._clock, sink._last_checkpoint = (lambda: now[0]), 0.0
    seen = []
    for piece in stream.pieces({}, 20):
        now[0] += 4
        sink.take(piece)
        checkpoint = last_checkpoint(tmp_path)
        seen.append(checkpoint["totals"]["tokens"] if checkpoint else 0)
    manifest.close()
    assert seen[:9] == [0, 0, 60, 60, 60, 120, 120, 120, 180]


def test_each_bad_file_is_told_once(tmp_path: Path) -> None:
    """Not anew at each checkpoint, of which there may be thousands; a run that was stopped has all of them at its end."""
    bad = [{"path": f"{number}.jsonl", "what": "torn", "documents": 1, "left_out": 0} for number in range(9)]
    stream, ends = Stream("nanogpt", val_fraction="0"), memoryview((2).to_bytes(8, "little")).cast("q")

    def write(until: int) -> list[dict[str, Any]]:
        with closing(Manifest(tmp_path)) as manifest, closing(stream.sink(tmp_path, manifest)) as found:
            found.resume(manifest.begin({"bad": 1}, restart=False))
            for number in range(found.position.get("source", 0), until):
                found.take(
                    EncodedPiece(
                        tokens=memoryview(bytes(4)),
                        ends=ends,
                        split="train",
                        count=Totals(tokens=2, documents=1),
                        position={"source": number + 1},
                        bad_file=bad[number],
                    )
                )
            if until == len(bad):
                found.finish()
            return list(found.bad_files)

    for until in (1, 4, 5, 9):
        assert write(until) == bad[:until]
    lines = (tmp_path / ".oomguard" / "manifest.jsonl").read_bytes().splitlines()
    told = [json.loads(line).get("checkpoint", {}).get("bad_files", []) for line in lines]
    assert [one for some in told for one in some] == bad
