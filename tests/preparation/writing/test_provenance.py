"""The files of --provenance: each of so many rows, whole whenever it is gone on from, and rows that hold any document."""

import itertools
import random
from array import array
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from oomguard.errors import Changed
from oomguard.preparation.writing import provenance, provenance_file
from oomguard.preparation.writing.manifest import Manifest
from oomguard.preparation.writing.provenance import Provenance
from oomguard.preparation.writing.val_split import ValSplit


def make(folder: Path, **how: Any) -> tuple[Provenance, Manifest]:
    manifest = Manifest(folder)
    manifest.begin({"input": []}, restart=False)
    how = {"split": None, "val_tokens": 0, **how}
    return Provenance(folder, manifest, lambda number: f"/data/{number}.txt", **how), manifest


def take(found: Provenance, document: int, lengths: list[int], origin: int, source: int = 0) -> None:
    ends = array("q", [sum(lengths[: number + 1]) for number in range(len(lengths))])
    origins = array("q", [origin + 10 * number for number in range(len(lengths))])
    found.take(
        document, ends=memoryview(ends), origins=memoryview(origins), tokens=sum(lengths), open_from=-1, split=None,
        source=source, member="",
    )  # fmt: skip


def test_the_bytes_do_not_depend_on_where_a_run_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of any size, and stops between any of them; files are cut at a number of rows."""
    monkeypatch.setattr(provenance, "FILE_ROWS", 100)
    chance = random.Random(4)
    lengths = [chance.randrange(50) for _ in range(450)]
    made = {}
    for name in ("at_once", "stopped"):
        folder = tmp_path / name
        found, manifest = make(folder, split=ValSplit("0.1"))
        done = 0
        while done < len(lengths):
            count = chance.randrange(1, 60)
            for source in range(2):
                own = lengths[done : done + count]
                take(found, done, own, 10 * done, source)
                done += len(own)
            if name == "stopped":
                at, files = found.sync(), found.files
                take(found, done, [1, 2, 3], 0)  # what a kill leaves behind
                found.close()
                found = Provenance(
                    folder, manifest, lambda number: f"/data/{number}.txt", split=ValSplit("0.1"), val_tokens=0
                )
                found.resume(at, files)
        found.finish()
        manifest.close()
        rows = [row for file in sorted(folder.glob("*.parquet")) for row in pq.read_table(file).to_pylist()]
        made[name] = [{key: value for key, value in row.items() if key != "source"} for row in rows]
        assert [pq.read_metadata(file).num_rows for file in sorted(folder.glob("*.parquet"))] == [
            100,
            100,
            100,
            100,
            50,
        ]
    assert made["at_once"] == made["stopped"]
    assert [row["offset"] for row in made["stopped"]] == [10 * number for number in range(450)]
    assert [row["split"] == "val" for row in made["stopped"]] == [
        ValSplit("0.1").is_val(number) for number in range(450)
    ]


def test_each_row_has_the_name_of_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever row groups begin: among the documents of a source, with the first of the next, or beyond several."""
    monkeypatch.setattr(provenance_file, "GROUP_ROWS", 8)
    found, manifest = make(tmp_path)
    documents = [1, 13, 1, 1, 2, 9, 3, 20, 1]
    for source, count in enumerate(documents):
        take(found, sum(documents[:source]), [1] * count, 0, source)
    found.finish()
    manifest.close()
    table = pq.read_table(tmp_path / "provenance-00000.parquet")
    names = [f"/data/{source}.txt" for source, count in enumerate(documents) for _ in range(count)]
    assert table["source"].to_pylist() == names


def test_a_document_of_more_tokens_than_a_row_can_say_has_several(tmp_path: Path) -> None:
    found, manifest = make(tmp_path)
    take(found, 0, [5, 5 << 31, 7], 0)
    found.finish()
    manifest.close()
    rows = pq.read_table(tmp_path / "provenance-00000.parquet").to_pylist()
    assert [row["document"] for row in rows] == [0, *[1] * 6, 2]
    assert sum(row["tokens"] for row in rows[1:7]) == 5 << 31
    assert [row["first_token"] for row in rows][-1] == 5 + (5 << 31)
    assert all(row["first_token"] + row["tokens"] == after["first_token"] for row, after in itertools.pairwise(rows))


def test_validation_that_ends_in_a_document_gives_it_two_rows(tmp_path: Path) -> None:
    found, manifest = make(tmp_path, val_tokens=10)
    take(found, 0, [4, 9, 0, 3], 0)
    found.finish()
    manifest.close()
    rows = [tuple(row.values()) for row in pq.read_table(tmp_path / "provenance-00000.parquet").to_pylist()]
    source = "/data/0.txt"
    assert rows == [
        (0, source, 0, "val", 0, 4), (1, source, 10, "val", 4, 6), (1, source, 10, "train", 0, 3),
        (2, source, 20, "train", 3, 0), (3, source, 30, "train", 3, 3),
    ]  # fmt: skip


def test_a_spool_that_was_changed_is_not_gone_on_with(tmp_path: Path) -> None:
    found, manifest = make(tmp_path)
    take(found, 0, [1, 2], 0)
    at = found.sync()
    found.close()
    (spool,) = manifest.state.glob("*.rows.partial")
    spool.write_bytes(bytes(spool.stat().st_size))
    again = Provenance(tmp_path, manifest, str, split=None, val_tokens=0)
    with pytest.raises(Changed, match="does not hold what"):
        again.resume(at, [])
    manifest.close()
