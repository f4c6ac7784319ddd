"""Compressed text and standard input: cut between documents or at safe cuts, and resumed byte by byte."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.errors import BadInput, BudgetTooSmall, Changed
from oomguard.preparation.encoding.safe_cuts import unify_newlines
from oomguard.preparation.reading import byte_stream
from oomguard.preparation.reading.pieces import Piece
from oomguard.preparation.reading.text_stream import iter_text
from tests.preparation.reading.reads import PACKERS, documents_in, granted, options, read, read_text, source
from tests.preparation.reading.reads import text_documents_in as text_in
from tests.properties import examples
from tests.reference import CHARACTERS, encoding_of

characters = st.one_of(st.sampled_from(["a", "b ", "word ", "\n", "\r\n", "\r", "==", "=", "|", "é", "漢"]),
                       st.sampled_from(CHARACTERS))  # fmt: skip
bodies = st.lists(characters, max_size=60).map("".join)
separators = st.sampled_from(["", "==", "\n\n", "|", "\n", "<|endoftext|>", "=a="])


def documents_of(text: bytes, separator: bytes) -> list[bytes]:
    """The slow, obvious way."""
    documents = text.split(separator) if separator else [text]
    return documents[:-1] if not documents[-1] else documents


def check_every_resume(path: Path, pieces: list[Piece], between: bytes, **how: Any) -> None:
    """Reading from behind any piece gives the rest of the text, document by document."""
    for number, piece in enumerate(pieces):
        rest = read_text(path, resume=piece.resume, **how)
        assert text_in(rest, between) == text_in(pieces[number + 1 :], between)
        if rest:
            assert rest[0].starts_document == pieces[number + 1].starts_document


@examples(500)
@given(text=bodies, separator=separators, piece_bytes=st.integers(1, 60), universal=st.booleans())
def test_documents_in_are_documents_out(text: str, separator: str, piece_bytes: int, universal: bool) -> None:
    mark = separator.encode()
    how = {"separator": mark, "piece_bytes": piece_bytes, "universal_newlines": universal, "longest_piece": 1 << 12}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.txt.gz")
        path.write_bytes(PACKERS["gz"](text.encode()))
        pieces = read_text(path, compression="gz", **how)
        whole = unify_newlines(text.encode()) if universal else text.encode()
        assert text_in(pieces, mark) == documents_of(whole, mark)
        check_every_resume(path, pieces, mark, compression="gz", **how)
        tokens = encoding_of("r50k_base").encode_ordinary
        if not mark:
            assert [t for p in pieces for t in tokens(b"".join(p.data).decode())] == tokens(whole.decode())


@pytest.mark.parametrize("name", PACKERS)
def test_members_that_follow_each_other_are_one_stream(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.txt"
    pack = PACKERS[name]
    path.write_bytes(pack(b"one tw") + pack(b"") + pack(b"o three"))
    for piece_bytes in (4, 1 << 20):
        pieces = read_text(path, compression=name, piece_bytes=piece_bytes)
        assert text_in(pieces, b"") == [b"one two three"]
        check_every_resume(path, pieces, b"", compression=name, piece_bytes=piece_bytes)


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("kept", [1, 5, 200, -4])
def test_a_file_that_was_cut_off(tmp_path: Path, name: str, kept: int) -> None:
    """The end of the data is never taken for the end of the text."""
    path = tmp_path / "a.txt"
    path.write_bytes(PACKERS[name](os.urandom(3000).hex().encode())[:kept])
    with pytest.raises(BadInput, match=r"a\.txt: damaged or cut off"):
        read_text(path, compression=name)


def test_a_file_that_is_not_compressed(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_text("plain text")
    for name in PACKERS:
        with pytest.raises(
            BadInput,
            match=f"is not {name}, although its name says so: its first bytes differ",
        ):
            read_text(path, compression=name)


@pytest.mark.parametrize("name", PACKERS)
def test_the_command_that_checks_a_damaged_file_can_be_pasted(tmp_path: Path, name: str) -> None:
    """cases/D9: whatever the file is called."""
    path = tmp_path / f"it's a \udcff.txt.{name}"
    path.write_bytes(PACKERS[name](b"text " * 1000)[:-9])
    with pytest.raises(BadInput) as caught:
        read_text(path, compression=name)
    command = caught.value.do.partition(", and")[0].replace("gzip -t", "ls").replace("zstd -t", "ls")
    command = command.replace("bzip2 -t", "ls").replace("xz -t", "ls")
    listed = subprocess.run(["bash", "-c", command], capture_output=True, check=True).stdout
    assert os.fsencode(path) == listed.rstrip(b"\n")


def test_damage_within_what_was_decompressed_at_once_is_not_placed_before_it(tmp_path: Path) -> None:
    """cases/D11: a wrong checksum at the end is not damage after 0 bytes."""
    path = tmp_path / "a.txt.gz"
    packed = bytearray(PACKERS["gz"](b"text " * 20_000))
    packed[-6] ^= 1
    path.write_bytes(packed)
    with pytest.raises(BadInput, match=r"damaged or cut off within the next 1\.0 MiB after 0 bytes"):
        read_text(path, compression="gz", piece_bytes=1 << 20)


def test_positions_count_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.xz"
    text = b"one two three|four five|six"
    path.write_bytes(PACKERS["xz"](text))
    pieces = read_text(path, compression="xz", separator=b"|", piece_bytes=8)
    assert [piece.where for piece in pieces][:2] == ["byte 0", f"byte {len(pieces[0].data[0])}"]
    for piece in pieces:
        assert text[int(piece.where.removeprefix("byte ")) :].startswith(piece.data[0])
    assert pieces[-1].resume["offset"] == len(text)


def test_a_word_that_cannot_be_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    text = b"a " + b"x" * 5000 + b" b"
    path.write_bytes(PACKERS["gz"](text))
    asked: list[int] = []
    how = options(piece_bytes=64, longest_piece=8192, unasked=2048)
    pieces = list(
        iter_text(source(path, "text", "gz"), options=how, resume=None, reserve=lambda size, _: asked.append(size))
    )
    assert text_in(pieces, b"") == [text]
    assert asked[-1] >= 3 * 5000
    with pytest.raises(BadInput, match=r"a\.txt\.gz: byte 1: the next 1\.0 KiB is one word"):
        read_text(path, compression="gz", piece_bytes=64, longest_piece=1024)


@pytest.fixture
def stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], None]]:
    """Give bytes to be read from what stands for descriptor 0."""
    opened: list[int] = []

    def give(data: bytes) -> None:
        file = tmp_path / "stdin"
        file.write_bytes(data)
        opened.append(os.open(file, os.O_RDONLY))
        monkeypatch.setattr(byte_stream, "STDIN_FD", opened[-1])

    yield give
    for fd in opened:
        os.close(fd)


def test_text_from_standard_input_is_checked_when_it_comes_again(stdin: Callable[[bytes], None]) -> None:
    body = b"".join(b"number %d is here\n" % i for i in range(20))
    how: dict[str, Any] = {"piece_bytes": 64, "separator": b"\n"}
    stdin(body)
    pieces = read_text(Path("-"), **how)
    assert len(text_in(pieces, b"\n")) == 20
    for number, piece in enumerate(pieces):
        stdin(body)
        rest = read_text(Path("-"), resume=piece.resume, **how)
        assert text_in(rest, b"\n") == text_in(pieces[number + 1 :], b"\n")
    check_other_input(stdin, body, lambda: read_text(Path("-"), resume=pieces[-2].resume, **how))


def test_lines_from_standard_input_are_checked_when_they_come_again(stdin: Callable[[bytes], None]) -> None:
    body = b"".join(b'{"text": "number %d is here"}\n' % i for i in range(20))
    how: dict[str, Any] = {"compression": "stdin", "piece_bytes": 64}  # it is read as a stream
    stdin(body)
    chunks = read(Path("-"), "jsonl", **how)
    assert len(documents_in(chunks)) == 20
    for number, chunk in enumerate(chunks):
        stdin(body)
        assert documents_in(read(Path("-"), "jsonl", resume=chunk.resume, **how)) == documents_in(chunks[number + 1 :])
    check_other_input(stdin, body, lambda: read(Path("-"), "jsonl", resume=chunks[-2].resume, **how))


def check_other_input(stdin: Callable[[bytes], None], body: bytes, again: Callable[[], object]) -> None:
    stdin(body.replace(b"number 1 ", b"number 2 "))
    with pytest.raises(Changed, match=r"-: its first [0-9]+ bytes are not those that the earlier run read"):
        again()
    stdin(body[:100])
    with pytest.raises(Changed, match=r"-: it has only 100 bytes, but the earlier run had read"):
        again()


def test_a_pipe_that_gives_little_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(
        ["sh", "-c", "for i in 1 2 3 4; do printf 'part %d ' $i; sleep 0.05; done"], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        monkeypatch.setattr(byte_stream, "STDIN_FD", child.stdout.fileno())
        pieces = list(iter_text(source(Path("-"), "text"), options=options(), resume=None, reserve=granted))
    assert text_in(pieces, b"") == [b"part 1 part 2 part 3 part 4 "]
    assert len(pieces) == 1


@pytest.mark.parametrize(
    ("tool", "compression", "least"), [("xz -9", "xz", 64 << 20), ("zstd --long=27", "zst", 1 << 27)]
)
def test_a_large_dictionary_is_asked_for(tmp_path: Path, tool: str, compression: str, least: int) -> None:
    """Before the decoder takes it: these settings cost as much when the file is read."""
    if shutil.which(tool.split(maxsplit=1)[0]) is None:
        pytest.skip(f"needs {tool.split(maxsplit=1)[0]}: install it")
    packed = subprocess.run([*tool.split(), "-c"], input=b"some text " * 9000, capture_output=True, check=True).stdout
    path = tmp_path / "a.txt"
    path.write_bytes(packed)

    def refuse(need: int, where: str) -> None:
        raise BudgetTooSmall(f"{where}: {need}", do="more")

    with pytest.raises(BudgetTooSmall, match=f"its {compression} dictionary: ([0-9]+)") as caught:
        list(iter_text(source(path, "text", compression), options=options(), resume=None, reserve=refuse))
    assert least <= int(str(caught.value).split()[-1]) <= 2 * least
    assert text_in(read_text(path, compression=compression), b"") == [b"some text " * 9000]
