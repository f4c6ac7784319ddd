"""One stream of tokens into files: under a temporary name until they are whole, and able to go on."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oomguard.errors import BadInput, Changed
from oomguard.preparation.writing.formats.base import Layout
from oomguard.preparation.writing.formats.table import FORMATS
from oomguard.preparation.writing.shard_writer import ShardPlan, SplitWriter

TOKENS = np.arange(1000, dtype="<u2")


class Folder:
    """An output folder and what was finished in it."""

    def __init__(self, path: Path) -> None:
        self.path, self.state = path, path / ".oomguard"
        self.state.mkdir()
        self.finished: list[dict[str, Any]] = []
        self.named: list[str] = []
        self.format: Any = "npy"

    def writer(
        self, split: str = "train", *, shard_tokens: int | None = 100, first: int = 1, name: str = "x"
    ) -> SplitWriter:
        plan = ShardPlan(
            folder=self.path,
            state=self.state,
            format=FORMATS[self.format],
            layout=Layout(name=name, token_bytes=2, shard_tokens=shard_tokens),
            first_is_val=first == 0,
        )
        return SplitWriter(
            plan,
            split,
            first_index=first,
            on_naming=lambda name, _: self.named.append(name),
            on_shard=lambda shard, _: self.finished.append(shard),
        )

    def names(self) -> list[str]:
        return sorted(file.name for file in self.path.iterdir() if file.is_file())


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def data(start: int, stop: int) -> memoryview:
    return memoryview(TOKENS[start:stop].tobytes())


def test_no_shard_has_its_name_before_it_is_whole(folder: Folder) -> None:
    writer = folder.writer()
    writer.write(data(0, 99))
    assert folder.names() == []
    writer.write(data(99, 100))
    assert folder.names() == ["x_train_000001.npy"]
    writer.write(data(100, 101))
    assert folder.names() == ["x_train_000001.npy"]
    writer.finish_shard()
    assert folder.names() == ["x_train_000001.npy", "x_train_000002.npy"]
    assert [shard["tokens"] for shard in folder.finished] == [100, 1]
    assert folder.named == folder.names()
    assert list(folder.state.iterdir()) == []


def test_what_is_reported_is_what_is_on_disk(folder: Folder) -> None:
    """Also for a last shard, of which the header is written twice."""
    writer = folder.writer()
    writer.write(data(0, 250))
    writer.finish_shard()
    for shard in folder.finished:
        file = folder.path / shard["path"]
        assert shard["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert len(np.load(file)) == shard["tokens"]
    assert np.concatenate([np.load(folder.path / name) for name in folder.names()]).tolist() == list(range(250))


def test_a_piece_may_be_longer_than_many_shards(folder: Folder) -> None:
    """Which the anchors' scripts cannot do."""
    folder.writer(first=0).write(data(0, 1000))
    assert [shard["split"] for shard in folder.finished] == ["val"] + ["train"] * 9


def test_nothing_written_is_no_file(folder: Folder) -> None:
    writer = folder.writer()
    writer.write(data(0, 0))
    writer.finish_shard()
    assert folder.names() == []
    assert writer.sync() == {"index": 1, "tokens": 0}


@pytest.mark.parametrize("more", [0, 1, 60, 500], ids=lambda more: f"{more} lost")
@pytest.mark.parametrize("done", [0, 1, 99, 100, 101, 250, 300])
def test_going_on_gives_the_same_files(folder: Folder, done: int, more: int) -> None:
    """From any position, whatever was written after it."""
    first = folder.writer()
    first.write(data(0, done))
    position = first.sync()
    before = len(folder.named)
    first.write(data(0, more))  # other tokens than will come: they must not be seen again
    second = folder.writer()
    second.resume(position)
    for name in folder.named[before:]:  # as TokenSink does
        (folder.path / name).unlink(missing_ok=True)
    second.write(data(done, 420))
    second.finish_shard()
    seen = np.concatenate([np.load(folder.path / name) for name in folder.names()[:5]])
    assert seen.tolist() == list(range(420))
    reported = {shard["path"]: shard["sha256"] for shard in folder.finished}
    for name in folder.names()[:5]:
        assert reported[name] == hashlib.sha256((folder.path / name).read_bytes()).hexdigest()


def test_a_shard_that_got_its_name_too_early_goes_on_as_temporary(folder: Folder) -> None:
    """Killed between the rename and the next checkpoint."""
    first = folder.writer()
    first.write(data(0, 40))
    position = first.sync()
    first.write(data(40, 100))
    assert folder.names() == ["x_train_000001.npy"]
    second = folder.writer()
    second.resume(position)
    assert folder.names() == []
    second.write(data(40, 100))
    assert np.load(folder.path / "x_train_000001.npy").tolist() == list(range(100))


@pytest.mark.parametrize("damage", ["gone", "shorter", "does not hold"])
def test_a_temporary_file_that_is_not_as_it_was_left_is_refused(folder: Folder, damage: str) -> None:
    """Never a hole of zeros in a shard."""
    first = folder.writer(shard_tokens=None)
    folder.format = "nanogpt"
    first = folder.writer(shard_tokens=None)
    first.write(data(0, 40))
    position = first.sync()
    (partial,) = folder.state.iterdir()
    if damage == "gone":
        partial.unlink()
    else:
        content = partial.read_bytes()
        partial.write_bytes(content[:-2] if damage == "shorter" else content[:-1] + b"\xff")
    with pytest.raises(Changed, match=damage) as caught:
        folder.writer(shard_tokens=None).resume(position)
    assert "--restart" in caught.value.do


def test_splits_do_not_touch_each_others_files(folder: Folder) -> None:
    train, val = folder.writer("train"), folder.writer("val")
    train.write(data(0, 10))
    val.write(data(10, 20))
    positions = train.sync(), val.sync()
    again = folder.writer("train"), folder.writer("val")
    for writer, position in zip(again, positions, strict=True):
        writer.resume(position)
        writer.finish_shard()
    assert np.load(folder.path / "x_train_000001.npy").tolist() == list(range(10))
    assert np.load(folder.path / "x_val_000001.npy").tolist() == list(range(10, 20))


def test_a_name_that_cannot_be_written_is_an_error_with_what_to_do(folder: Folder) -> None:
    folder.state.rmdir()
    with pytest.raises(BadInput, match="could not write .*partial: No such file") as caught:
        folder.writer().write(data(0, 5))
    assert "same command again" in caught.value.do
