"""Tar archives: behind each other, damaged, with compressed members whose windows take memory."""

import io
import lzma
import tarfile
from pathlib import Path
from typing import Any

import pytest

from oomguard.errors import BadInput
from oomguard.preparation.reading.byte_stream import ByteStream
from oomguard.preparation.reading.line_stream import iter_lines
from oomguard.preparation.reading.packed_streams import memory_ahead
from oomguard.preparation.reading.tar_members import iter_tar
from tests.preparation.reading.made_files import add_member, as_tar, documents_in, read, source
from tests.preparation.reading.reads import PACKERS, options


def test_a_damaged_header_in_an_archive_is_no_end(tmp_path: Path) -> None:
    """Python's tarfile takes it for one."""
    data = bytearray(as_tar(["one", "two", "three"]))
    at = data.rfind(b"ustar")
    data[at - 50] ^= 1
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(BadInput, match="damaged or cut off"):
        read("tar", tmp_path / "a")


def test_archives_behind_each_other(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(as_tar(["one"]) + as_tar(["two"]))
    assert documents_in(read("tar", tmp_path / "a")) == ["one", "two"]


LONG_FRAME = b"\x28\xb5\x2f\xfd\x00\x88\x01\x00\x00"  # RFC 8878: a window of 128 MiB, an empty block


LONG_WINDOW = 128 << 20


@pytest.mark.parametrize("member", ["a.jsonl.zst", "a.txt.zst", "a.jsonl.xz"])
def test_windows_within_an_archive_are_asked_for(tmp_path: Path, member: str) -> None:
    line = b'{"text": "one"}\n'
    data = LONG_FRAME + PACKERS["zst"](line) if member.endswith("zst") else lzma.compress(line, preset=9)
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        add_member(archive, member, data)
    asked: list[tuple[int, str]] = []
    pieces = list(
        iter_tar(
            source(tmp_path / "a.tar", "tar"),
            options=options(),
            resume=None,
            reserve=lambda size, where: asked.append((size, where)),
        )
    )
    assert b"one" in b"".join(part for piece in pieces for part in piece.data)
    ((size, where),) = asked
    assert size >= 64 << 20
    assert f"{member}: its " in where


@pytest.mark.parametrize("kind", ["jsonl", "txt"])
def test_a_long_line_is_asked_for_beside_the_windows_it_comes_from(tmp_path: Path, kind: str) -> None:
    """Of the member, and of the archive; which are asked for alone before, as the member's is beside the archive's."""
    line = b'{"text": "' + b"x" * 5000 + b'"}\n'

    def asked(*, member: bool, archive: bool) -> list[int]:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as made:
            add_member(made, f"a.{kind}{'.zst' * member}", LONG_FRAME + PACKERS["zst"](line) if member else line)
        data = file.getvalue()
        (tmp_path / "a").write_bytes(LONG_FRAME + PACKERS["zst"](data) if archive else data)
        found: list[int] = []
        how: dict[str, Any] = {"options": options(piece_bytes=1000, unasked=1000), "resume": None}
        packed = source(tmp_path / "a", "tar", "zst" if archive else None)
        list(iter_tar(packed, reserve=lambda size, _: found.append(size), **how))
        return found

    plain = asked(member=False, archive=False)
    assert plain[-1] >= 3 * len(line)
    window, both = LONG_WINDOW, 2 * LONG_WINDOW
    assert asked(member=True, archive=False) == [window, *(window + size for size in plain)]
    assert asked(member=False, archive=True) == [window, *(window + size for size in plain)]
    assert asked(member=True, archive=True) == [window, both, *(both + size for size in plain)]


def test_the_window_of_a_further_frame_counts_beside_a_long_line(tmp_path: Path) -> None:
    """As that of the first does: it is asked for when it is reached, and stays."""
    line, usual = b'{"text": "' + b"x" * 5000 + b'"}\n', PACKERS["zst"](b"{}\n")
    (tmp_path / "a").write_bytes(usual + LONG_FRAME + PACKERS["zst"](line))
    asked: list[int] = []
    how: dict[str, Any] = {"options": options(piece_bytes=1000, unasked=1000), "resume": None}
    list(iter_lines(source(tmp_path / "a", "jsonl", "zst"), reserve=lambda size, _: asked.append(size), **how))
    assert asked[0] == LONG_WINDOW
    assert asked[-1] >= LONG_WINDOW + 4 * len(line)


@pytest.mark.parametrize("packed", ["xz", "zst"])
def test_windows_are_known_at_the_start(tmp_path: Path, packed: str) -> None:
    """As the reader asks for them when it opens the file."""
    path = tmp_path / f"a.jsonl.{packed}"
    if packed == "xz":
        path.write_bytes(lzma.compress(b"{}\n", preset=9))
    else:
        path.write_bytes(LONG_FRAME)
    (tmp_path / "b.jsonl.gz").write_bytes(PACKERS["gz"](b"{}\n"))
    asked: list[int] = []
    with ByteStream(source(path, "jsonl", packed), reserve=lambda size, _: asked.append(size)):
        pass
    need, what = memory_ahead([source(tmp_path / "b.jsonl.gz", "jsonl", "gz"), source(path, "jsonl", packed)])
    assert [need] == asked
    assert need >= 64 << 20
    assert what == f"the {packed} dictionary of {path}"


def test_members_of_a_tar_that_are_passed_over_are_counted_and_named(tmp_path: Path) -> None:
    """Also by a run that goes on in the middle of the archive, which has not seen all of them."""
    found = [f"{number} " * 50 for number in range(20)]
    (tmp_path / "a.tar").write_bytes(as_tar(found))
    notes: list[str] = []
    pieces = read("tar", tmp_path / "a.tar", note=notes.append)
    read("tar", tmp_path / "a.tar", note=notes.append, resume=pieces[9].resume)
    assert notes == [f"{tmp_path / 'a.tar'}: ignored: 20 members (.png)"] * 2


def test_what_macos_writes_beside_each_file_of_a_tar_is_no_text(tmp_path: Path) -> None:
    """AppleDouble: the attributes of x.txt, as ._x.txt. In a folder they are hidden files."""
    members = {
        "d/._x.txt": b"\0\5\x16\7\0\2\0\0Mac OS X",
        "d/x.txt": b"one",
        "d/._y.jsonl": b"\0\5\x16\7",
        "d/_.txt": b"two",
    }
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    notes: list[str] = []
    pieces = read("tar", tmp_path / "a.tar", note=notes.append)
    assert [piece.member for piece in pieces] == ["d/x.txt", "d/_.txt"]
    assert notes == [f"{tmp_path / 'a.tar'}: ignored: 2 members (._*)"]
