"""A planned job: done in any order, by any number of workers, it gives the bytes that one machine writes."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from oomguard.errors import BadInput, Changed, NothingFound
from oomguard.preparation.api import prepare
from oomguard.preparation.cluster import claims, unit_queue
from oomguard.preparation.cluster.finishing import finish
from oomguard.preparation.cluster.job_file import JobFile, read_job, write_job
from oomguard.preparation.cluster.planning import plan_job
from oomguard.preparation.cluster.slurm_array import SlurmOptions, allocated_memory, sbatch_commands
from oomguard.preparation.cluster.unit_queue import Share, do_units
from oomguard.preparation.cluster.unit_work import do_unit
from oomguard.preparation.options import PrepareOptions

if TYPE_CHECKING:
    from pathlib import Path

WORDS = ["to", "from", "this", "that", "by", "be", "his", "and", "the", "with", "at", "is", "ünï", "你好", "x1"]


def document(chance: random.Random) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randrange(200)))


def make(folder: Path, seed: int = 1) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    chance = random.Random(seed)
    (folder / "a.txt").write_text("\n\n".join(document(chance) for _ in range(300)))
    for name, opened in (("b.jsonl", open), ("d.jsonl.gz", gzip.open)):
        with opened(folder / name, "wt", encoding="utf-8") as file:
            file.writelines(json.dumps({"text": document(chance)}) + "\n" for _ in range(300))
    pq.write_table(pa.table({"text": [document(chance) for _ in range(300)]}), folder / "c.parquet", row_group_size=40)


def planned(folder: Path, names: tuple[str, ...], unit: int, **more: Any) -> tuple[PrepareOptions, JobFile]:
    options = PrepareOptions(inputs=tuple(str(folder / name) for name in names), out=folder / "out", **more)
    write_job(plan_job(options, unit_bytes=unit), folder / "job.json")
    return options, read_job(folder / "job.json")


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and ".oomguard" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "more"),
    [
        (("a.txt",), {"val_fraction": "0.3"}),
        (("a.txt",), {"separator": r"\n\n", "format": "megatron"}),
        (("b.jsonl", "d.jsonl.gz"), {"eot": "none", "format": "datatrove", "val_fraction": "0.1"}),
        (("a.txt", "b.jsonl", "c.parquet"), {"format": "npy", "shard_tokens": 20_000}),
    ],
)
def test_the_bytes_are_those_of_one_machine(tmp_path: Path, names: tuple[str, ...], more: dict[str, Any]) -> None:
    make(tmp_path)
    options, job = planned(tmp_path, names, 40_000, **more)
    alone = prepare(replace(options, out=tmp_path / "alone"))
    numbers = list(range(len(job.units)))
    random.Random(2).shuffle(numbers)
    for number in numbers:
        do_unit(job, number, workers=1)
    result = finish(job)
    assert files(tmp_path / "out") == files(tmp_path / "alone")
    assert (result.tokens, result.documents, result.input_bytes) == (alone.tokens, alone.documents, alone.input_bytes)
    assert job.missing() == []
    assert finish(job).already_done


@pytest.mark.slow
def test_a_unit_that_fails_stops_no_other(tmp_path: Path) -> None:
    """The error names the line of the file; when it is mended the next run does that one unit."""
    make(tmp_path)
    lines = (tmp_path / "b.jsonl").read_bytes().splitlines(keepends=True)
    good = lines[217]
    lines[217] = b"{" + b"x" * (len(good) - 2) + b"\n"
    (tmp_path / "b.jsonl").write_bytes(b"".join(lines))
    times = (tmp_path / "b.jsonl").stat()
    _, job = planned(tmp_path, ("b.jsonl",), 20_000)
    done = do_units(job)
    assert len(done.failures) == 1
    assert len(done.done) == len(job.units) - 1
    assert f"{tmp_path / 'b.jsonl'}:218" in str(next(iter(done.failures.values())))
    with pytest.raises(BadInput, match="unit"):
        done.require_success()
    with pytest.raises(NothingFound, match="1 of"):
        finish(job)
    lines[217] = good
    (tmp_path / "b.jsonl").write_bytes(b"".join(lines))
    os.utime(tmp_path / "b.jsonl", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert [each.unit for each in do_units(job).done] == list(done.failures)
    assert finish(job).documents == 300


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["jsonl.gz", "jsonl", "parquet"])
def test_one_damaged_file_among_ten(tmp_path: Path, kind: str) -> None:
    """The other nine are committed; the file is had again, and the next run does its unit, and no other."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder, chance = tmp_path / "in", random.Random(4)
    folder.mkdir()
    for number in range(10):
        path, texts = folder / f"{number}.{kind}", [document(chance) for _ in range(50)]
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
        if kind == "parquet":
            pq.write_table(pa.table({"text": texts}), path, row_group_size=20)
        else:
            path.write_bytes(gzip.compress(lines) if kind == "jsonl.gz" else lines)
    bad = folder / f"6.{kind}"
    good = bad.read_bytes()
    options = PrepareOptions(inputs=(str(folder),), out=tmp_path / "out", format="npy", shard_tokens=5_000)
    prepare(replace(options, out=tmp_path / "alone"))
    # A parquet file without its footer cannot be planned with: a page of it is damaged.
    hurt = bytearray(good if kind == "parquet" else good[:-100])
    if kind == "parquet":
        hurt[60:90] = bytes(30)
    bad.write_bytes(hurt)
    write_job(plan_job(options), tmp_path / "job.json")
    job = read_job(tmp_path / "job.json")
    first = do_units(job, workers=1)
    assert (list(first.failures), len(first.done)) == ([6], 9)
    assert str(bad) in str(first.failures[6])
    with pytest.raises(NothingFound, match="1 of 10"):
        finish(job)
    bad.write_bytes(good)
    assert [each.unit for each in do_units(job, workers=1).done] == [6]
    finish(job)
    assert files(tmp_path / "out") == files(tmp_path / "alone")


@pytest.mark.slow
def test_a_file_of_several_units_that_was_mended(tmp_path: Path) -> None:
    """The bytes that its other units were made of are compared; another size would make other units."""
    make(tmp_path)
    good = (tmp_path / "b.jsonl").read_bytes()
    at = good.index(b"\n", len(good) // 2) + 1
    (tmp_path / "b.jsonl").write_bytes(good[:at] + b"x" + good[at + 1 :])
    _, job = planned(tmp_path, ("b.jsonl",), 20_000)
    failed = list(do_units(job, workers=1).failures)
    assert len(failed) == 1
    (tmp_path / "b.jsonl").write_bytes(good + b"\n")
    with pytest.raises(Changed, match="had"):
        do_unit(job, failed[0])
    (tmp_path / "b.jsonl").write_bytes(good.replace(b"to", b"TO", 1))
    with pytest.raises(Changed, match="was changed"):
        do_unit(job, failed[0])
    (tmp_path / "b.jsonl").write_bytes(good)
    assert [each.unit for each in do_units(job, workers=1).done] == failed
    assert finish(job).documents == 300


@pytest.mark.slow
def test_a_unit_in_hand_elsewhere_is_left_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim that is touched while one waits is of a living worker; one that stays as it is becomes stale."""
    make(tmp_path)
    _, job = planned(tmp_path, ("a.txt",), 20_000)
    claim = job.part_file(0).with_suffix(".claim")
    claim.write_text("another-machine pid:[1] 7:1")
    monkeypatch.setattr(unit_queue, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(time, "sleep", lambda _: os.utime(claim))
    assert do_units(job).elsewhere == 1
    assert claim.exists()
    monkeypatch.setattr(time, "sleep", lambda _: os.utime(claim, (1, 1)))
    claim.touch()
    assert [each.unit for each in do_units(job).done] == [0]
    assert not claim.exists()


@pytest.mark.slow
def test_a_worker_that_is_gone_from_this_machine_is_not_waited_for(tmp_path: Path) -> None:
    """As after Slurm or a person killed it: the same command does its unit at once, not a minute later."""
    make(tmp_path)
    _, job = planned(tmp_path, ("a.txt",), 20_000)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        dead = claims.who(child.pid)
        assert "gone" not in dead
        claim = job.part_file(0).with_suffix(".claim")
        claim.write_text(dead)
        assert not claims.Claim(claim).is_stale()
        child.kill()
    assert claims.Claim(claim).is_stale()
    assert 0 in [each.unit for each in do_units(job).done]


def test_a_planned_job_is_never_replaced(tmp_path: Path) -> None:
    make(tmp_path)
    planned(tmp_path, ("a.txt",), 20_000)
    before = (tmp_path / "job.json").read_bytes()
    with pytest.raises(BadInput, match="never replaced"):
        planned(tmp_path, ("b.jsonl",), 20_000)
    assert (tmp_path / "job.json").read_bytes() == before


def test_a_job_that_was_edited_is_refused(tmp_path: Path) -> None:
    make(tmp_path)
    planned(tmp_path, ("a.txt", "b.jsonl"), 20_000)
    good = (tmp_path / "job.json").read_bytes()
    chance = random.Random(3)
    for _ in range(200):
        bad = bytearray(good)
        bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(7)
        if json_of(bytes(bad)) == json_of(good):
            continue
        (tmp_path / "job.json").write_bytes(bad)
        with pytest.raises(BadInput):
            read_job(tmp_path / "job.json")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "job.json")
    with pytest.raises(BadInput, match="not a regular file"):
        read_job(tmp_path / "job.json")


def json_of(data: bytes) -> object:
    try:
        return json.loads(data)
    except ValueError:
        return None


def test_another_folder_of_the_same_name_is_noticed(tmp_path: Path) -> None:
    """As on a machine that does not have the shared file system mounted."""
    make(tmp_path)
    _, job = planned(tmp_path, ("a.txt",), 20_000)
    (tmp_path / "out").rename(tmp_path / "elsewhere")
    (tmp_path / "out").mkdir()
    with pytest.raises(BadInput, match="not the folder"):
        do_unit(job, 0)


def test_another_tokenizer_is_noticed(tmp_path: Path) -> None:
    make(tmp_path)
    _, job = planned(tmp_path, ("a.txt",), 20_000)
    with pytest.raises(Changed, match="tokenizer"):
        replace(job, encoding="another").resolve()


def test_shares_cover_all_units_and_begin_apart() -> None:
    for of in range(1, 7):
        orders = [Share(number, of).order(list(range(20))) for number in range(of)]
        assert all(sorted(order) == list(range(20)) for order in orders)
        assert len({order[0] for order in orders}) == of


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"SLURM_MEM_PER_NODE": "300"}, 300 << 20),
        ({"SLURM_MEM_PER_CPU": "100", "SLURM_CPUS_ON_NODE": "4"}, 400 << 20),
        ({"SLURM_MEM_PER_CPU": "100"}, None),
        ({"SLURM_MEM_PER_NODE": "-1"}, None),
        ({}, None),
    ],
)
def test_what_slurm_gave_is_read(monkeypatch: pytest.MonkeyPatch, given: dict[str, str], expected: int | None) -> None:
    for name in ("SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU", "SLURM_CPUS_ON_NODE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert allocated_memory() == expected


def test_names_are_quoted_for_slurm(tmp_path: Path) -> None:
    folder = tmp_path / "a b; touch pwned"
    folder.mkdir()
    make(folder)
    _, job = planned(folder, ("a.txt",), 20_000)
    work, finish_it = sbatch_commands(job, folder / "job.json", SlurmOptions(max_rss=200 << 20, elements=3))
    for command in (work, finish_it):
        wrapped = next(part for part in command if part.startswith("--wrap="))
        assert f"'{folder}/job.json'" in wrapped
    assert "--array=0-2" in work
    assert "--mem=264M" in work
    assert "--dependency=afterany:ARRAY" in finish_it
