"""Shards written by several machines at once: which stretch of the parts each one is, and the bytes."""

from __future__ import annotations

import random
import shlex
import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oomguard.errors import BadInput, NothingFound, Stopped
from oomguard.preparation.api import prepare
from oomguard.preparation.cluster import job_place, receipts, shard_shares, shard_table
from oomguard.preparation.cluster.finishing import finish, finish_share
from oomguard.preparation.cluster.job_file import read_job
from oomguard.preparation.cluster.shard_plan import At, PlannedShard, plan_shards, share_of, stretches_of
from oomguard.preparation.cluster.unit_queue import do_units
from oomguard.preparation.writing.val_split import ValSplit
from tests.preparation.cluster.test_job import files, make, planned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from oomguard.preparation.cluster.job_file import JobFile

Units = list[tuple[list[int], int]]  # of each: the lengths of the documents that end in it, and tokens behind them


def ends_of(lengths: list[int]) -> Any:
    return np.cumsum(np.array(lengths, np.int64))


def stretches(units: Units, step: int) -> Iterator[Any]:
    """As they come from parts, in stretches of `step` ends."""
    document = 0
    for unit, (lengths, rest) in enumerate(units):
        ends = ends_of(lengths)
        split = (ends[at : at + step] for at in range(0, len(ends), step))
        yield from stretches_of(unit, [(None, sum(lengths) + rest, len(lengths), split)], document)
        document += len(lengths)


def obvious(units: Units, full: int, *, with_documents: bool, val: ValSplit | None) -> dict[str, list[int]]:
    """The sizes of the shards of each split, token by token."""
    sizes: dict[str, list[int]] = {"train": [], "val": []}
    held = {"train": 0, "val": 0}
    number = 0

    def close(split: str) -> None:
        sizes[split].append(held[split])
        held[split] = 0

    begun = {"train": False, "val": False}
    for lengths, rest in units:
        for at, length in enumerate([*lengths, rest]):
            split = "val" if val is not None and val.is_val(number) else "train"
            for _ in range(length):
                held[split] += 1
                begun[split] = True
                if not with_documents and held[split] == full:
                    close(split)
                    begun[split] = False
            if at < len(lengths):
                begun[split] = begun[split] or with_documents
                if with_documents and held[split] >= full:
                    close(split)
                    begun[split] = False
                number += 1
    for split, open_one in begun.items():
        if open_one:
            close(split)
    return sizes


@given(
    units=st.lists(st.tuples(st.lists(st.integers(0, 9), max_size=12), st.integers(0, 9)), min_size=1, max_size=6),
    full=st.integers(1, 25),
    with_documents=st.booleans(),
    fraction=st.sampled_from([None, "0.0005", "0.1", "0.5", "1"]),
    step=st.integers(1, 5),
)
@settings(deadline=None)
def test_shards_end_where_one_machine_ends_them(
    units: Units, full: int, with_documents: bool, fraction: str | None, step: int
) -> None:
    val = ValSplit(fraction) if fraction else None
    shards = plan_shards(
        stretches(units, step),
        full=full,
        with_documents=with_documents,
        val_fraction=fraction,
        first_index={"train": 0, "val": 0},
    )
    found = {split: [shard.tokens for shard in shards if shard.split == split] for split in ("train", "val")}
    assert found == obvious(units, full, with_documents=with_documents, val=val)
    for split in ("train", "val"):
        own = [shard for shard in shards if shard.split == split]
        assert [shard.index for shard in own] == list(range(len(own)))
        for one, other in pairwise(own):
            a, b = one.stop, other.start
            assert (a.unit, a.segment, a.token, a.end) <= (b.unit, b.segment, b.token, b.end)
    # The document at a place is the number of those that ended before it.
    counts = [len(lengths) for lengths, _ in units]
    assert all(each.start.document == sum(counts[: each.start.unit]) + each.start.end for each in shards)


@given(tokens=st.lists(st.integers(1, 100), max_size=30), of=st.integers(1, 8))
def test_each_shard_is_of_one_share(tokens: list[int], of: int) -> None:
    start = At(0, 0, 0, 0, 0)
    shards = [PlannedShard("train", at, each, start, start) for at, each in enumerate(tokens)]
    shares = [share_of(shards, number, of) for number in range(of)]
    assert [shard.index for share in shares for shard in share] == list(range(len(tokens)))


CASES: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (("b.jsonl", "d.jsonl.gz"), {"format": "datatrove", "val_fraction": "0.1", "shard_tokens": 5_000}),
    (
        ("a.txt",),
        {"separator": r"\n\n", "format": "arrow", "eot": "none", "val_fraction": "0.5", "shard_tokens": 3_000},
    ),
    (("a.txt", "b.jsonl"), {"format": "npy", "shard_tokens": 7_000}),
    (("a.txt",), {"format": "npy", "shard_tokens": 7_000, "val_fraction": "0.3", "last_shard": "fold"}),
    (("b.jsonl", "c.parquet"), {"format": "mds", "shard_tokens": 8_192, "val_fraction": "0.05"}),
]


def alone_and_planned(folder: Path, names: tuple[str, ...], more: dict[str, Any]) -> tuple[dict[str, bytes], JobFile]:
    make(folder)
    options, job = planned(folder, names, 40_000, **more)
    prepare(replace(options, out=folder / "alone"))
    do_units(job, workers=1)
    return files(folder / "alone"), job


class Begun:
    """The folder of a case with all its units done, and what one machine made of it; made once, and then set back."""

    def __init__(self, made: pytest.TempPathFactory) -> None:
        self._made = made
        self._alone: dict[int, dict[str, bytes]] = {}
        self._folders: dict[int, Path] = {}

    def __call__(self, case: int) -> tuple[Path, dict[str, bytes], JobFile]:
        if case not in self._folders:
            folder = self._folders[case] = self._made.mktemp("case")
            self._alone[case], _ = alone_and_planned(folder, *CASES[case])
            shutil.copytree(folder / "out", folder / "before")
        folder = self._folders[case]
        shutil.rmtree(folder / "out")
        shutil.copytree(folder / "before", folder / "out")
        return folder, self._alone[case], read_job(folder / "job.json")


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Begun:
    return Begun(tmp_path_factory)


@pytest.mark.slow
@pytest.mark.parametrize("case", range(len(CASES)))
def test_machines_write_disjoint_shards_and_the_bytes_are_those_of_one(begun: Begun, case: int) -> None:
    """In any order; a part is gone as soon as no shard needs it; then `finish` finds only its notes left to write."""
    folder, alone, job = begun(case)
    order = [0, 1, 2]
    random.Random(3).shuffle(order)
    left = [finish_share(job, part, 3).left for part in order]
    assert left == sorted(left, reverse=True)
    assert left[-1] == 0
    assert not list(job.parts.glob("*.part"))
    assert job.missing() == []
    assert all(each.already_done for each in do_units(job).done)
    result = finish(job)
    assert files(folder / "out") == alone
    assert sorted(shard.path for shard in result.shards) == sorted({shard.path for shard in result.shards})
    assert {path.name for path in job.parts.iterdir()} <= {"job", "finished"}
    assert finish(job).already_done


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_a_machine_that_is_killed_between_any_two_steps(
    begun: Begun, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """The process ends before any of its small files is written; the same command then goes on."""
    folder, alone, job = begun(seed % len(CASES))
    chance, real = random.Random(seed), job_place.replace_text

    class Killed(BaseException):
        pass

    def sometimes(file: Path, text: str) -> None:
        if chance.random() < 0.3:
            raise Killed
        real(file, text)

    monkeypatch.setattr(shard_shares, "replace_text", sometimes)
    monkeypatch.setattr(receipts, "replace_text", sometimes)
    kills = 0
    while True:
        try:
            finish_share(job, chance.randrange(2), 2)
            finish(job)
        except Killed:
            kills += 1
        else:
            break
    assert kills
    assert files(folder / "out") == alone


@pytest.mark.slow
def test_what_somebody_else_put_there_stays(begun: Begun) -> None:
    folder, alone, job = begun(2)
    finish_share(job, 0, 2)
    name = next(name for name in alone if not (folder / "out" / name).exists())
    (folder / "out" / name).write_bytes(b"mine")
    with pytest.raises(BadInput, match="not made by this run"):
        finish(job)
    assert (folder / "out" / name).read_bytes() == b"mine"
    (folder / "out" / name).unlink()
    finish(job)
    assert files(folder / "out") == alone


@pytest.mark.slow
def test_a_damaged_receipt_of_a_shard_whose_parts_are_gone(tmp_path: Path) -> None:
    """The lines that are named, one after the other, lead to the same shards."""
    (tmp_path / "a b").mkdir()
    alone, job = alone_and_planned(tmp_path / "a b", *CASES[2])
    finish_share(job, 0, 2)
    min(job.parts.glob("laid-*.json")).write_text("{")
    said = []
    for _ in range(2):
        with pytest.raises(BadInput) as refused:
            finish(job)
        said.append(str(refused.value))
        for line in refused.value.do.partition(", then")[0].split(" && "):
            if line.startswith("rm "):
                subprocess.run(shlex.split(line), check=True)
    assert "cannot be read" in said[0]
    assert "removed after the shards were written" in said[1]
    do_units(job).require_success()
    finish(job)
    assert files(tmp_path / "a b/out") == alone


def test_the_line_for_a_damaged_table_of_shards_leads_to_the_same_shards(tmp_path: Path) -> None:
    (tmp_path / "a 'b'").mkdir()
    alone, job = alone_and_planned(tmp_path / "a 'b'", *CASES[2])
    finish_share(job, 0, 2)
    (job.parts / shard_table.TABLE).write_text('{"shards": []')
    with pytest.raises(BadInput, match="damaged") as refused:
        finish(job)
    line = refused.value.do.partition(", then oomguard work again")[0]
    subprocess.run(["sh", "-c", line], check=True)
    do_units(job).require_success()
    finish(job)
    assert files(tmp_path / "a 'b'/out") == alone


@pytest.mark.slow
def test_a_damaged_part_stops_the_shard_and_is_named(begun: Begun) -> None:
    folder, alone, job = begun(2)
    part = job.part_file(1)
    data = bytearray(part.read_bytes())
    data[10] ^= 1
    part.write_bytes(data)
    with pytest.raises(BadInput, match=r"0000001\.part is damaged"):
        finish(job)
    part.unlink()
    with pytest.raises(NothingFound, match="1 of"):
        finish(job)
    do_units(job, workers=1)
    finish(job)
    assert files(folder / "out") == alone


@pytest.mark.slow
def test_a_stop_keeps_the_shards_that_were_finished(begun: Begun) -> None:
    import os
    import signal

    folder, alone, job = begun(2)
    done: list[PlannedShard] = []

    def stop(shard: PlannedShard) -> None:
        done.append(shard)
        if len(done) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Stopped):
        finish_share(job, 0, 1, after_each=stop)
    assert len(done) == 2
    assert len(list(job.parts.glob("laid-*.json"))) == 2
    finish(job)
    assert files(folder / "out") == alone
