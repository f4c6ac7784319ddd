"""A list of sources gives what was put in, and takes little memory for a file."""

from __future__ import annotations

import os
import tracemalloc
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.errors import Changed
from oomguard.preparation.reading.source import Part, Source, SourceList, read_at
from oomguard.preparation.reading.sources import find_sources

if TYPE_CHECKING:
    from pathlib import Path

OURS = tracemalloc.Filter(inclusive=True, filename_pattern="*/oomguard/*")
NUMBERS = st.one_of(st.none(), st.integers(0, 1 << 70))
NAMES = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), max_size=6)
PATHS = st.builds(
    "/".join, st.lists(st.one_of(NAMES, st.sampled_from(["a", "b\udcff", "\udce6\udc95\udcb0", ""])), max_size=3)
)
SOURCES = st.builds(
    Source,
    path=st.one_of(PATHS, st.sampled_from(["-", "hf://a/b", "https://a/b"])),
    kind=st.sampled_from(["text", "jsonl", "parquet"]),
    compression=st.sampled_from([None, "gz"]),
    size=NUMBERS,
    mtime_ns=st.one_of(NUMBERS, st.integers(-(1 << 70), 0)),
    inode=NUMBERS,
    ctime_ns=NUMBERS,
    text_field=st.sampled_from(["text", "body"]),
    encoding=st.sampled_from(["", "latin-1"]),
    guessed=st.booleans(),
    pin=st.sampled_from(["", "1a"]),
    part=st.sampled_from([None, Part(1, 2)]),
)


@given(st.lists(SOURCES, max_size=12))
def test_what_was_put_in_comes_out_in_every_field(sources: list[Source]) -> None:
    held = SourceList(sources)
    assert [asdict(one) for one in held] == [asdict(one) for one in sources]  # `==` leaves out inode and ctime
    assert len(held) == len(sources)
    assert held == sources
    assert held[1:-1] == sources[1:-1]
    assert [held[-1 - at] for at in range(len(sources))] == sources[::-1]
    with pytest.raises(IndexError):
        held[len(sources)]


def test_a_file_takes_little_more_than_its_name(tmp_path: Path) -> None:
    """A million are planned in 300 MB: it was 420 bytes each."""
    for number in range(4000):
        (tmp_path / f"document-{number:07d}.txt").touch()
    find_sources(["."], folder=tmp_path, exclude=None)  # what is imported, and kept once
    tracemalloc.start()
    try:
        found = find_sources(["."], folder=tmp_path, exclude=None)
        snapshot = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    assert len(found) == 4000
    # Of our own lines: the table of all names that Python keeps grows when it likes.
    kept = sum(trace.size for trace in snapshot.filter_traces([OURS]).statistics("filename"))
    assert kept < 4000 * 110


def test_what_comes_in_parts_is_read_whole_and_what_ends_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of FUSE or NFS may give less than it was asked for, and was called shorter than it had been."""
    (tmp_path / "text.txt").write_bytes(bytes(range(100)))
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, rooms, offset: preadv(fd, [rooms[0][:7]], offset))
    source = Source(path="text.txt", kind="text", compression=None, size=100, mtime_ns=0)
    fd = os.open(tmp_path / "text.txt", os.O_RDONLY)
    try:
        assert read_at(fd, source, 10, 50, size=100) == bytes(range(10, 60))
        with pytest.raises(Changed, match="100 bytes, and 120 when the run began"):
            read_at(fd, source, 90, 30, size=120)
    finally:
        os.close(fd)
