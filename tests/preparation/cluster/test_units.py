"""Units: whatever their size, encoded by themselves they give the tokens of the whole; parts keep what they were given."""

from __future__ import annotations

import json
import os
import random
from array import array
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oomguard.errors import BadInput, Changed
from oomguard.preparation.cluster.job_file import write_job
from oomguard.preparation.cluster.part_writer import PartWriter
from oomguard.preparation.cluster.parts import TAIL, Place, open_part
from oomguard.preparation.cluster.planning import plan_job
from oomguard.preparation.cluster.unit_source import source_now
from oomguard.preparation.cluster.units import cut_units
from oomguard.preparation.options import PrepareOptions
from oomguard.preparation.reading.sources import find_sources
from oomguard.preparation.resolving import resolve_options
from oomguard.preparation.writing.token_sink import EncodedPiece, Totals
from tests.reference import encoding_of

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.preparation.writing.token_sink import Split

_TEXTS = st.text(st.sampled_from("ab1 \n\r\t.,'s\u00fc\u4f60\u597d\U0001f600 e"), max_size=400)


def parts_of(path: Path, size: int, **more: str) -> list[tuple[int, int]]:
    options = PrepareOptions(inputs=(str(path),), **more)  # type: ignore[arg-type]
    sources = find_sources(options.inputs, folder=path.parent, exclude=None)
    units = list(cut_units(sources, options, resolve_options(options), size=size))
    return [(unit.part.begin, unit.part.end) for unit in units if unit.part]


@pytest.mark.parametrize("encoding", ["r50k_base", "cl100k_base", "o200k_base"])
@given(text=_TEXTS, size=st.integers(1, 90))
@settings(deadline=None)
def test_text_is_divided_where_tokens_do_not_change(
    tmp_path_factory: pytest.TempPathFactory, encoding: str, text: str, size: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "units.txt"
    path.write_bytes(text.encode())
    reference = encoding_of(encoding)
    data = text.encode()
    parts = parts_of(path, size, encoding=encoding)
    assert b"".join(data[begin:end] for begin, end in parts) == data
    tokens = [token for begin, end in parts for token in reference.encode_ordinary(data[begin:end].decode())]
    assert tokens == reference.encode_ordinary(text)


@given(
    lines=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=20),
    size=st.integers(1, 200),
)
@settings(deadline=None)
def test_lines_are_never_divided(tmp_path_factory: pytest.TempPathFactory, lines: list[str], size: int) -> None:
    path = tmp_path_factory.getbasetemp() / "units.jsonl"
    path.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    data = path.read_bytes()
    parts = [data[begin:end] for begin, end in parts_of(path, size)]
    assert b"".join(parts) == data
    assert [json.loads(line)["text"] for part in parts for line in part.splitlines()] == lines


def test_row_groups_are_never_divided_and_all_there(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(
        pa.table({"text": ["word " * 50] * 100}), tmp_path / "x.parquet", row_group_size=7, use_dictionary=False
    )
    parts = parts_of(tmp_path / "x.parquet", 4000)
    assert parts[0][0] == 0
    assert parts[-1][1] == 15
    assert [end for _, end in parts[:-1]] == [begin for begin, _ in parts[1:]]
    assert len(parts) > 4


def test_standard_input_comes_to_one_machine_only() -> None:
    options = PrepareOptions(inputs=("-",))
    sources = find_sources(("-",), folder=__import__("pathlib").Path(), exclude=None)
    with pytest.raises(BadInput, match="one machine"):
        list(cut_units(sources, options, resolve_options(options)))


def pieces(chance: random.Random, count: int) -> list[EncodedPiece]:
    """Pieces of one unit: a text's are train then val, all others have no split."""
    made = []
    val_from = chance.randrange(count + 1) if chance.random() < 0.5 else None
    for number in range(count):
        tokens = array("H", [chance.randrange(1 << 16) for _ in range(chance.randrange(300))])
        ends = sorted(chance.randrange(len(tokens) + 1) for _ in range(chance.randrange(9)))
        split: Split | None = None if val_from is None else "train" if number < val_from else "val"
        count_of = Totals(tokens=len(tokens), documents=len(ends), input_bytes=chance.randrange(99), left_out=number)
        view = memoryview(tokens.tobytes())
        made.append(
            EncodedPiece(tokens=view, ends=memoryview(array("q", ends)), split=split, count=count_of, position={})
        )
    return made


def flat(given_pieces: list[EncodedPiece]) -> list[tuple[str | None, bytes, list[int], Totals]]:
    """For each split: its tokens, its document ends from its begin, and the sum of its counts."""
    result: dict[str | None, tuple[bytearray, list[int], Totals]] = {}
    for piece in given_pieces:
        tokens, ends, total = result.get(piece.split, (bytearray(), [], Totals()))
        ends += [end + len(tokens) // 2 for end in piece.ends or ()]
        tokens += piece.tokens
        result[piece.split] = tokens, ends, total.plus(piece.count)
    return [(split, bytes(tokens), ends, total) for split, (tokens, ends, total) in result.items()]


@pytest.mark.parametrize("seed", range(20))
def test_a_part_gives_back_what_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """In small stretches, and from any position on that a piece carried."""
    monkeypatch.setattr("oomguard.preparation.cluster.parts.MIB", 64)
    monkeypatch.setattr("oomguard.preparation.cluster.parts.BLOCK", 48)
    monkeypatch.setattr("oomguard.preparation.cluster.part_writer.BLOCK", 48)
    monkeypatch.setattr("oomguard.preparation.cluster.parts.LONGEST_FOOTER", 1 << 20)
    chance = random.Random(seed)
    given_pieces = pieces(chance, chance.randrange(1, 12))
    path = tmp_path / "0000003.part"
    writer = PartWriter(path, job="j", unit=3, token_bytes=2)
    for piece in given_pieces:
        writer.take(piece)
    assert writer.commit()
    writer.close()
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    part = open_part(path, job="j", unit=3, token_bytes=2)
    back = list(part.pieces(3))
    assert flat(back) == flat(given_pieces)
    for at, piece in enumerate(back):
        place = Place(piece.position["segment"], piece.position["token"], piece.position["end"])
        assert [bytes(each.tokens) for each in part.pieces(3, Place(), place)] == [
            bytes(each.tokens) for each in back[: at + 1]
        ]
        rest = list(part.pieces(3, place))
        assert [bytes(each.tokens) for each in rest] == [bytes(each.tokens) for each in back[at + 1 :]]
        assert [list(each.ends or ()) for each in rest] == [list(each.ends or ()) for each in back[at + 1 :]]
        assert [each.count for each in rest] == [each.count for each in back[at + 1 :]]


def written(path: Path) -> bytes:
    writer = PartWriter(path, job="j", unit=0, token_bytes=2)
    for piece in pieces(random.Random(1), 3):
        writer.take(piece)
    writer.commit()
    writer.close()
    return path.read_bytes()


def test_the_first_commit_counts(tmp_path: Path) -> None:
    path = tmp_path / "0000000.part"
    first = written(path)
    inode = path.stat().st_ino
    writer = PartWriter(path, job="j", unit=0, token_bytes=2)
    for piece in pieces(random.Random(1), 3):
        writer.take(piece)
    assert not writer.commit()
    writer.close()
    assert path.stat().st_ino == inode
    assert path.read_bytes() == first
    assert len(list(tmp_path.iterdir())) == 1


def test_a_damaged_part_is_never_laid_out(tmp_path: Path) -> None:
    """Any byte that is another one, and any shorter file, is noticed."""
    path = tmp_path / "0000000.part"
    good = written(path)
    chance = random.Random(5)
    for _ in range(200):
        bad = bytearray(good)
        if chance.random() < 0.2:
            del bad[chance.randrange(len(bad)) :]
        else:
            bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
        path.write_bytes(bad)
        with pytest.raises(BadInput, match="damaged"):
            open_part(path, job="j", unit=0, token_bytes=2).check()
    path.write_bytes(good)
    for other in ({"job": "k"}, {"unit": 1}, {"token_bytes": 4}):
        with pytest.raises(BadInput, match="of another job"):
            open_part(path, **{"job": "j", "unit": 0, "token_bytes": 2, **other})  # type: ignore[arg-type]


@pytest.mark.parametrize(("stretches", "kept"), [(1_000, True), (30_000, False)])
def test_a_part_of_an_input_with_many_stretches_can_be_opened(tmp_path: Path, stretches: int, kept: bool) -> None:
    """As of a Parquet file of very many row groups; without checksums, a file that was touched is not believed."""
    (tmp_path / "b.jsonl").write_text('{"text": "a"}\n' * 8)
    options = PrepareOptions(inputs=(str(tmp_path / "b.jsonl"),), out=tmp_path / "out", format="npy")
    job = write_job(plan_job(options, unit_bytes=30), tmp_path / "job.json")
    assert len(job.units) > 1
    read = [(0, at * 10_000, at * 10_000 + 8_000, 0xEDB88320) for at in range(1 << 18, (1 << 18) + stretches)]
    writer = PartWriter(job.part_file(0), job=job.sha256, unit=0, token_bytes=2)
    tokens = memoryview(b"\1\0")
    writer.take(
        EncodedPiece(tokens=tokens, ends=None, split=None, count=Totals(tokens=1), position={}, read=tuple(read))
    )
    assert writer.commit()
    writer.close()
    part = open_part(job.part_file(0), job=job.sha256, unit=0, token_bytes=2)
    assert [bytes(each.tokens) for each in part.pieces(0)] == [b"\1\0"]
    assert part.read == (tuple(each[1:] for each in read) if kept else None)
    source_now(job, 1, token_bytes=2)
    os.utime(tmp_path / "b.jsonl", (1, 1))
    with pytest.raises(Changed, match="was changed" if kept else "was touched since unit 0"):
        source_now(job, 1, token_bytes=2)


def test_a_footer_that_speaks_of_more_than_there_is_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read then, of whatever size: neither a terabyte nor less than nothing."""
    path = tmp_path / "0000000.part"
    good = written(path)
    length, _, magic = TAIL.unpack(good[-TAIL.size :])
    about = json.loads(good[-TAIL.size - length : -TAIL.size])
    real, asked = os.pread, []

    def pread(fd: int, size: int, at: int) -> bytes:
        asked.append(size)
        return real(fd, size, at)

    monkeypatch.setattr("oomguard.preparation.cluster.job_place.os.pread", pread)
    for tokens in (1 << 50, -(1 << 50)):
        about["segments"][0]["tokens"] = tokens
        footer = json.dumps(about).encode()
        path.write_bytes(b"x" * 64 + footer + TAIL.pack(len(footer), b"\0" * 32, magic))
        with pytest.raises(BadInput, match="damaged"):
            open_part(path, job="j", unit=0, token_bytes=2)
    assert max(asked) < 1 << 20
