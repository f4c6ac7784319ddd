"""Workers that write shards of one job at the same moment, each step where it would hurt the other."""

from __future__ import annotations

import json
import os
import random
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from oomguard.errors import BadInput, InUse
from oomguard.preparation.cluster import claims, receipts, shard_shares, unit_queue
from oomguard.preparation.cluster import shard_table as shard_table_module
from oomguard.preparation.cluster.finishing import finish
from oomguard.preparation.cluster.job_file import JobFile
from oomguard.preparation.cluster.part_writer import PartWriter
from oomguard.preparation.cluster.parts import open_part
from oomguard.preparation.cluster.shard_shares import ShardWork, remove_all
from oomguard.preparation.cluster.shard_table import shard_table
from oomguard.preparation.settling import settle
from oomguard.preparation.writing.manifest import Manifest
from oomguard.preparation.writing.token_sink import EncodedPiece, Totals
from tests.preparation.cluster.test_job import files, planned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from oomguard.preparation.job import Job

ELSEWHERE = "another-machine pid:[1] 7:1"
TOKENS = 5_000  # of a unit


class Waits(Exception):
    """A worker waits for another."""


@pytest.fixture
def job(tmp_path: Path) -> JobFile:
    """A job of four units that are done, whose tokens make six shards."""
    (tmp_path / "b.jsonl").write_text("".join(json.dumps({"text": "word " * 20}) + "\n" for _ in range(40)))
    _, made = planned(tmp_path, ("b.jsonl",), 1_200, format="npy", shard_tokens=3_500, val_fraction="0")
    chance = random.Random(1)
    for unit in range(len(made.units)):
        writer = PartWriter(made.part_file(unit), job=made.sha256, unit=unit, token_bytes=2)
        writer.take(piece(chance.randbytes(2 * TOKENS)))
        assert writer.commit()
        writer.close()
    assert len(made.units) == 4
    return made


def piece(tokens: bytes) -> EncodedPiece:
    count = Totals(tokens=len(tokens) // 2, input_bytes=100)
    return EncodedPiece(tokens=memoryview(tokens), ends=None, split=None, count=count, position={})


@pytest.fixture
def settled(job: JobFile) -> Iterator[Job]:
    with ExitStack() as stack:
        yield settle(stack, list(job.sources), job.options, job.resolve(), None)[0]


@pytest.fixture
def worker(job: JobFile, settled: Job, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ShardWork]:
    """Make workers; one that has to wait raises Waits."""

    def wait(seconds: float) -> None:
        raise Waits(seconds)

    monkeypatch.setattr(time, "sleep", wait)
    table = shard_table(job, settled)
    assert len(table.shards) == 6
    return lambda **more: ShardWork(job_file=job, job=settled, table=table, asked=lambda: None, **more)


def before_first(monkeypatch: pytest.MonkeyPatch, what: str, do: Callable[[], None]) -> None:
    """Do something before the first call of a method of Receipts."""
    real: Any = getattr(receipts.Receipts, what)
    calls = []

    def call(*args: Any) -> None:
        calls.append(args)
        if len(calls) == 1:
            do()
        real(*args)

    monkeypatch.setattr(receipts.Receipts, what, call)


def test_a_shard_that_another_has_named_is_not_taken_back(
    job: JobFile, worker: Callable[..., ShardWork], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One `finish` has given a shard its name, and not yet its receipt, when another comes to that shard."""

    def other() -> None:
        before = files(job.options.out)
        assert len(before) == 1
        with pytest.raises(Waits):
            worker().write(worker().table.shards)
        assert files(job.options.out).items() >= before.items()

    before_first(monkeypatch, "give", other)
    worker().write(worker().table.shards)
    assert not list(job.parts.glob("*.part"))
    assert len(files(job.options.out)) == 6
    assert not list(job.parts.glob("laying-*"))
    assert not list(job.parts.glob("*.claim"))
    finish(job)


def test_a_shard_that_was_finished_while_its_claim_was_taken_stays(
    job: JobFile, worker: Callable[..., ShardWork], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the first look and the claim, another writes it, and the parts go."""
    real: Any = claims.Claim.take
    calls = []

    def take(self: claims.Claim) -> bool:
        calls.append(self)
        if len(calls) == 2:  # the first is that of its folder
            worker().write(worker().table.shards)
        return bool(real(self))

    monkeypatch.setattr(claims.Claim, "take", take)
    worker().write(worker().table.shards)
    assert len(files(job.options.out)) == 6


def test_a_worker_that_was_taken_for_dead_gives_no_receipt(
    job: JobFile, worker: Callable[..., ShardWork], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was stopped for longer than a minute with its file named; who came then has taken that back."""
    table = worker().table
    claim = job.parts / "train-000000.claim"

    def taken() -> None:
        claim.write_text(ELSEWHERE)

    before_first(monkeypatch, "note", taken)
    with pytest.raises(Waits):
        worker().write(table.shards)
    work = worker()
    assert [shard.index for shard in table.shards if not work.is_done(shard)] == [0]
    assert job.part_file(0).exists()
    os.utime(claim, (1, 1))  # that one ended, too
    worker().write(table.shards)
    assert len(files(job.options.out)) == 6
    assert not list(job.parts.glob("*.claim"))


@pytest.mark.parametrize("number", range(3))
def test_a_claim_that_cannot_be_read_for_a_moment_is_no_error(
    job: JobFile, worker: Callable[..., ShardWork], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As a network's file system has such: the shard is written again."""
    real, calls = claims.Claim.is_ours, []

    def is_ours(claim: claims.Claim) -> bool:
        calls.append(claim)
        return len(calls) != number + 1 and real(claim)

    work = worker()
    monkeypatch.setattr(claims.Claim, "is_ours", is_ours)
    monkeypatch.setattr(claims, "_STALE_SECONDS", -1.0)  # of one that it could not give up
    monkeypatch.setattr(time, "sleep", lambda _: None)
    work.write(work.table.shards)
    assert len(files(job.options.out)) == 6
    finish(job)


def test_a_claim_that_was_renewed_before_it_was_removed_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two find the same stale claim: the one that is slower does not take away that of the other."""
    path = tmp_path / "x.claim"
    path.write_text(ELSEWHERE)
    os.utime(path, (1, 1))
    quick, slow = claims.Claim(path), claims.Claim(path)
    real = claims.Claim.is_stale

    def is_stale(self: claims.Claim) -> bool:
        found = real(self)
        if self is slow:
            assert quick.take()
        return found

    monkeypatch.setattr(claims.Claim, "is_stale", is_stale)
    assert not slow.take()
    assert quick.is_ours()
    slow.give_up()
    assert quick.is_ours()
    quick.give_up()
    assert not list(tmp_path.iterdir())


def test_two_finish_at_once_is_said(job: JobFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oomguard.preparation.writing.manifest._LOCK_PATIENCE_SECONDS", 0)
    manifest = Manifest(job.options.out)
    try:
        with pytest.raises(InUse, match="another oomguard finish is working") as caught:
            finish(job)
    finally:
        manifest.close()
    assert "wait for it" in caught.value.do
    assert files(job.options.out) == {}
    assert len(list(job.parts.glob("*.part"))) == 4
    assert finish(job).tokens == 4 * TOKENS
    assert finish(job).already_done


def test_the_folder_of_a_living_worker_stays(job: JobFile, worker: Callable[..., ShardWork]) -> None:
    dead = job.parts / "laying-dead"
    dead.mkdir()
    seen: list[str] = []

    def ends(_: Any) -> None:
        remove_all(job)
        seen.extend(path.name for path in job.parts.glob("laying-*/"))
        raise Waits

    with pytest.raises(Waits):
        worker(after_each=ends).write(worker().table.shards)
    assert len(seen) == 1
    assert seen != ["laying-dead"]
    assert not dead.exists()
    assert not list(job.parts.glob("*.claim"))


@pytest.mark.parametrize("seen", [1, 4], ids=["while the parts are read", "before the last is"])
def test_a_share_that_begins_while_another_removes_parts_takes_its_table(
    job: JobFile, settled: Job, monkeypatch: pytest.MonkeyPatch, seen: int
) -> None:
    """Both found no table; the first one has written it, and a part that the second has yet to read is gone."""
    real: Any = open_part
    calls: list[Path] = []
    tables: list[Any] = []

    def opened(path: Path, **about: Any) -> Any:
        calls.append(path)
        part = real(path, **about)
        if len(calls) == seen:
            tables.append(shard_table(job, settled))
            for unit in range(4):
                job.part_file(unit).unlink()
        return part

    monkeypatch.setattr(shard_table_module, "open_part", opened)
    assert shard_table(job, settled) == tables[0]


def test_parts_that_are_gone_without_a_table_are_said(
    job: JobFile, settled: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.part_file(2).unlink()
    with pytest.raises(BadInput, match=r"0000002\.part cannot be read"):
        shard_table(job, settled)
    real: Any = open_part

    def opened(path: Path, **about: Any) -> Any:
        part = real(path, **about)
        path.unlink()
        return part

    monkeypatch.setattr(shard_table_module, "open_part", opened)
    with pytest.raises(BadInput, match=r"0000000\.part is gone"):
        shard_table(job, settled)


def test_two_machines_remove_the_same_part(job: JobFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is gone between the look whether it is there and the look into it; what it counted stays."""
    real: Any = open_part
    counted = shard_table_module.counts_of(job, 1, 2)

    def opened(path: Path, **about: Any) -> Any:
        if path.exists():
            monkeypatch.setattr(shard_table_module, "open_part", real)
            shard_shares.remove_part(job, 1, 2)
            assert not path.exists()
        return real(path, **about)

    monkeypatch.setattr(shard_table_module, "open_part", opened)
    shard_shares.remove_part(job, 1, 2)
    assert counted is not None
    assert shard_table_module.counts_of(job, 1, 2) == counted == [Totals(tokens=TOKENS, input_bytes=100)]


def test_a_part_that_is_gone_with_all_others_leaves_nothing(job: JobFile) -> None:
    """`finish` was done with all of it when another machine came to remove it."""
    remove_all(job)
    shard_shares.remove_part(job, 1, 2)
    assert not list(job.parts.glob("*.laid"))


def test_a_unit_is_not_encoded_again_beside_a_finish_that_has_just_ended(
    job: JobFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker saw what was missing before the last units were done; since then all is laid out, and gone."""
    monkeypatch.setattr(JobFile, "missing", lambda _: [2, 3])
    monkeypatch.setattr(unit_queue, "do_unit", lambda _, number, **__: pytest.fail(f"unit {number} is done again"))
    job.note_finished()
    remove_all(job)
    result = unit_queue.do_units(job)
    assert (result.done, result.failures) == ([], {})
