"""From what a person types to the files that are read, in an order that never changes."""

import json
import os
import pickle
import random
import re
import socket
import subprocess
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.errors import BadInput, NothingFound
from oomguard.preparation.reading.file_kinds import Wanted
from oomguard.preparation.reading.folders import natural
from oomguard.preparation.reading.packed_streams import memory_ahead
from oomguard.preparation.reading.source import Source, SourceList
from oomguard.preparation.reading.sources import find_inputs, find_sources


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, with files of every kind."""
    for name in (
        "b10.txt", "b2.txt", "a.jsonl", "A.TXT", "c.ndjson.zst", "d.parquet", "e.text.gz", "readme.md", "config.json",
        "f.parquet.gz", "noise.bin", ".hidden.txt", "sub/x.txt", "sub/deep/y.jsonl.xz", "sub/.git/z.txt",
        "sub/.oomguard/z.txt", "out/shard.txt",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*inputs: str, exclude: Path | None = None, **how: Any) -> list[str]:
    return [source.path for source in find_sources(inputs, folder=Path(), exclude=exclude, **how)]


def test_no_input_means_the_files_right_here(corpus: Path) -> None:
    assert found() == ["A.TXT", "a.jsonl", "b2.txt", "b10.txt", "c.ndjson.zst", "d.parquet", "e.text.gz"]


def test_a_folder_means_all_that_is_below(corpus: Path) -> None:
    assert found("sub") == ["sub/deep/y.jsonl.xz", "sub/x.txt"]
    assert found(".", exclude=Path("out"))[-2:] == ["sub/deep/y.jsonl.xz", "sub/x.txt"]
    assert "out/shard.txt" not in found(".", exclude=corpus / "out")
    assert "out/shard.txt" in found(".")


def test_files_come_in_the_order_given(corpus: Path) -> None:
    assert found("d.parquet", "b10.txt", "a.jsonl") == ["d.parquet", "b10.txt", "a.jsonl"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("b*.txt", ["b2.txt", "b10.txt"]),
        ("b[12]*.txt", ["b2.txt", "b10.txt"]),
        ("**/*.txt", ["b2.txt", "b10.txt", "sub/x.txt"]),
        ("**/y*", ["sub/deep/y.jsonl.xz"]),
        ("s*", ["sub/deep/y.jsonl.xz", "sub/x.txt"]),
        ("*.bin", ["noise.bin"]),
    ],
)
def test_globs(corpus: Path, pattern: str, names: list[str]) -> None:
    assert found(pattern, exclude=Path("out")) == names


def test_a_name_that_looks_like_a_glob(corpus: Path) -> None:
    (corpus / "b[12].txt").touch()
    assert found("b[12].txt") == ["b[12].txt"]


@pytest.mark.parametrize(
    ("name", "kind", "compression"),
    [
        ("A.TXT", "text", None),
        ("a.jsonl", "jsonl", None),
        ("c.ndjson.zst", "jsonl", "zst"),
        ("d.parquet", "parquet", None),
        ("e.text.gz", "text", "gz"),
        ("config.json", "jsonl", None),
        ("noise.bin", "text", None),
        ("readme.md", "text", None),
    ],
)
def test_kinds(corpus: Path, name: str, kind: Any, compression: Any) -> None:
    status = (corpus / name).stat()
    assert find_sources([name], folder=Path(), exclude=None) == [
        Source(path=name, kind=kind, compression=compression, size=status.st_size, mtime_ns=status.st_mtime_ns)
    ]


def test_only_plain_text_files_can_be_read_at_any_place(corpus: Path) -> None:
    every = find_sources(["A.TXT", "noise.bin", "a.jsonl", "e.text.gz", "d.parquet", "-"], folder=Path(), exclude=None)
    assert [source.seekable_text for source in every] == [True, True, False, False, False, False]


@pytest.mark.parametrize("kind", ["text", "jsonl"])
def test_standard_input(kind: Any) -> None:
    expected = Source(path="-", kind=kind, compression=None, size=None, mtime_ns=None)
    for name in ("-", "/dev/stdin"):
        assert find_inputs([name], folder=Path(), exclude=None, wanted=Wanted(format=kind)).sources == [expected]


def test_names_start_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    for name in ("a.txt", "*.txt", str(tmp_path / "a.txt"), "."):
        assert [source.path for source in find_sources([name], folder=tmp_path, exclude=None)] == [f"{tmp_path}/a.txt"]


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        (["a.jsonl", "a.jsonl"], "a.jsonl is given twice"),
        (["b2.txt", "./sub/../b2.txt"], r"sub/../b2.txt is given twice (also as b2.txt)"),
        (["sub", "sub/x.txt"], "sub/x.txt is given twice"),
        (["b2.txt", "link.txt"], "link.txt is given twice (also as b2.txt)"),
        (["-", "-"], "- is given twice"),
        (["f.parquet.gz"], "f.parquet.gz is a compressed parquet file"),
        (["out/shard.txt"], "out/shard.txt is in the output folder, which is never read as input"),
        (["broken.txt"], "broken.txt cannot be opened: No such file or directory"),
        (["pipe"], "pipe is a pipe, not a file"),
        (["/dev/null"], "/dev/null is a device or socket, not a file"),
        (["socket"], "socket is a device or socket, not a file"),
    ],
)
def test_input_that_is_refused(corpus: Path, inputs: list[str], problem: str) -> None:
    Path("link.txt").symlink_to("b2.txt")
    Path("broken.txt").symlink_to("nowhere")
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        with pytest.raises(BadInput) as caught:
            found(*inputs, exclude=Path("out"))
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize(
    ("name", "problem", "do"),
    [
        (
            "nope.txt",
            '"nope.txt" does not exist',
            "one of those that are there: A.TXT, a.jsonl, b2.txt, b10.txt, c.ndjson.zst and 2 more",
        ),
        ("nope/*.txt", '"nope/*.txt" matches no file', "one of those that are there: A.TXT"),
        ("sub/*.parquet", '"sub/*.parquet" matches no file', "one of those that are there: sub/x.txt"),
        ("empty", '"empty" holds no corpus files', "name a file or folder with text"),
        ("", '"" does not exist', "one of those that are there: A.TXT"),
        ("\x1b[2J\n", r'"\x1b[2J\n" matches no file', "one of those that are there: A.TXT"),
    ],
)
def test_nothing_found(corpus: Path, name: str, problem: str, do: str) -> None:
    Path("empty").mkdir()
    with pytest.raises(NothingFound) as caught:
        found(name)
    assert str(caught.value).startswith(problem)
    assert caught.value.do.startswith(do)


def test_nothing_in_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "notes.md").touch()
    (tmp_path / "sub.txt").mkdir()
    with pytest.raises(NothingFound, match=r"no corpus files in .*: \.txt \.text \.jsonl"):
        find_sources([], folder=tmp_path, exclude=None)


def test_hostile_names_are_shown_escaped(tmp_path: Path) -> None:
    (tmp_path / "a\x1b]0;x\x07.txt").touch()
    (tmp_path / os.fsdecode(b"\xff\n.txt")).touch()
    assert len(find_sources(["*.txt"], folder=tmp_path, exclude=None)) == 2
    with pytest.raises(NothingFound) as caught:
        find_sources(["nope"], folder=tmp_path, exclude=None)
    assert (str(caught.value) + caught.value.do).isprintable()
    assert r"a\x1b]0;x\x07.txt" in caught.value.do


def test_links_in_a_circle_end(corpus: Path) -> None:
    Path("sub/deep/up").symlink_to("..")
    assert found("sub") == ["sub/deep/y.jsonl.xz", "sub/x.txt"]


def test_a_linked_folder_is_followed(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    away = tmp_path_factory.mktemp("away")
    (away / "z.txt").touch()
    Path("sub/more").symlink_to(away)
    assert found("sub") == ["sub/deep/y.jsonl.xz", "sub/more/z.txt", "sub/x.txt"]


@pytest.mark.parametrize("start", ["[", " [\n ", "\ufeff["])
def test_a_json_array_is_known_by_its_begin(tmp_path: Path, start: str) -> None:
    """Whether it is called .json or .jsonl, which is said; so are objects of several lines each."""
    for text in (start + json.dumps({"text": "a"}) + "]", '{\n  "text": "a"\n}\n'):
        for name in ("a.json", "a.jsonl"):
            (tmp_path / name).write_text(text)
            found = find_inputs([name], folder=tmp_path, exclude=None, wanted=Wanted())
            assert [one.kind for one in found.sources] == ["json"]
            assert len(found.notes) == (name == "a.jsonl")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that anyone may enter, while this process may not do all that root may."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_what_may_not_be_read(open_folder: Path) -> None:
    (open_folder / "a.txt").touch(mode=0)
    (open_folder / "sub").mkdir(mode=0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # nobody
    try:
        with pytest.raises(BadInput, match=r"a\.txt may not be read"):
            find_sources([], folder=open_folder, exclude=None)
        with pytest.raises(BadInput, match=r"may not list .*sub: Permission denied"):
            find_sources(["sub"], folder=open_folder, exclude=None)
    finally:
        os.seteuid(user)


@given(st.lists(st.text(st.characters(exclude_characters="/\x00"), min_size=1, max_size=6), unique=True))
def test_natural_order_is_an_order(names: list[str]) -> None:
    """It is total, and does not depend on the order in which the file system lists."""
    shuffled = random.Random(0).sample(names, len(names))
    assert sorted(names, key=natural) == sorted(shuffled, key=natural)


def test_natural_order() -> None:
    """Number by number, folder by folder; equal numbers as they are written."""
    names = ["01/a", "1/b", "a/9.txt", "a/10.txt", "a2/1.txt", "a10/1.txt", "x9y9", "x9y10", "x10"]
    assert sorted(random.Random(1).sample(names, len(names)), key=natural) == names


@pytest.mark.slow
def test_folders_a_thousand_deep_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(1100):
        Path("d").mkdir()
        os.chdir("d")
    Path("deep.txt").write_text("at the bottom")
    os.chdir(tmp_path)
    (tmp_path / "d/a.txt").write_text("at the top")
    try:
        found = find_sources(["d"], folder=tmp_path, exclude=None)
        assert [Path(source.path).name for source in found] == ["a.txt", "deep.txt"]
    finally:
        subprocess.run(["rm", "-rf", "d"], check=True)  # Python's rmtree is recursive, and pytest's with it


@pytest.mark.parametrize(("name", "beside"), [("state.json", ()), ("dataset_dict.json", ()), ("refs/main", ("blobs",))])
def test_a_pipe_in_a_folder_that_says_what_counts_is_not_waited_for(
    tmp_path: Path, name: str, beside: tuple[str, ...]
) -> None:
    text = tmp_path / ("snapshots/abc/a.txt" if beside else "a.txt")
    for folder in (*(tmp_path / other for other in beside), text.parent, (tmp_path / name).parent):
        folder.mkdir(parents=True, exist_ok=True)
    text.write_text("a")
    os.mkfifo(tmp_path / name)
    [one] = find_inputs([str(tmp_path)], folder=tmp_path, exclude=None, wanted=Wanted()).sources
    assert Path(one.path).name == "a.txt"


def test_natural_order_is_that_of_texts_and_numbers_in_turns(tmp_path: Path) -> None:
    names = [
        "a.txt",
        "a1.txt",
        "a01.txt",
        "a2.txt",
        "a10.txt",
        "a10b2.txt",
        "a10b10.txt",
        "ab1.txt",
        "10.txt",
        "9.txt",
        "a.1.txt",
    ]

    def turns(name: str) -> tuple[list[str | int], str]:
        return [int(part) if n % 2 else part for n, part in enumerate(re.split("([0-9]+)", name))], name

    for name in names:
        (tmp_path / name).write_text("x")
    found = find_sources([str(tmp_path)], folder=Path(), exclude=None)
    assert [Path(source.path).name for source in found] == sorted(names, key=turns)


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps(["a" * 50] * 100),
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(200, 256)),
        b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(range(256)),
        b"\x7fELF\x02\x01\x01" + bytes(9) + bytes(range(128, 256)),
        random.Random(1).randbytes(5000),
    ],
    ids=["pickle", "png", "jpeg", "elf", "random"],
)
def test_what_is_binary_is_not_taken_for_text_with_errors(tmp_path: Path, data: bytes) -> None:
    """cases/D10: --errors replace is no advice for it. Said that it is text, it is taken as that; so is a .txt."""
    (tmp_path / "a.bin").write_bytes(data)
    with pytest.raises(BadInput, match="is binary, not text"):
        find_inputs(["a.bin"], folder=tmp_path, exclude=None, wanted=Wanted())
    [one] = find_inputs(["a.bin"], folder=tmp_path, exclude=None, wanted=Wanted(format="text")).sources
    assert one.kind == "text"
    (tmp_path / "a.txt").write_bytes(data)
    assert find_inputs(["a.txt"], folder=tmp_path, exclude=None, wanted=Wanted()).sources[0].kind == "text"


@pytest.mark.parametrize(
    "data",
    [
        "plain text 字".encode() * 2000,
        "наук".encode("koi8-r") * 900,
        b"zero \0 in UTF-8 \xc3\xa9",
        ("x" * 4095 + "é\0").encode(),
        "wide".encode("utf-16"),
        b"",
    ],
    ids=["utf-8", "koi8", "zero", "cut", "utf-16", "empty"],
)
def test_what_may_be_text_stays_text(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.bin").write_bytes(data)
    [one] = find_inputs(["a.bin"], folder=tmp_path, exclude=None, wanted=Wanted()).sources
    assert one.kind == "text"


def test_the_output_folder_is_named_as_what_is_never_read(tmp_path: Path) -> None:
    """cases/D10: it is not said to hold no corpus files, and then which ones it holds."""
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(BadInput, match="is the output folder, which is never read") as caught:
        find_inputs(["."], folder=tmp_path, exclude=tmp_path, wanted=Wanted())
    assert caught.value.do.endswith("--out tokens")


@pytest.mark.parametrize("compression", [None, "zst"])
def test_what_is_looked_into_ahead_of_many_files_is_not_a_list_of_them_all(
    tmp_path: Path, compression: Literal["zst"] | None
) -> None:
    """A million are planned in little memory."""
    name = "a.txt.zst" if compression else "a.txt"
    (tmp_path / name).write_bytes(b"")
    source = Source(path=str(tmp_path / name), kind="text", compression=compression, size=0, mtime_ns=0)
    sources = SourceList(source for _ in range(20_000))
    tracemalloc.start()
    try:
        memory_ahead(sources)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20  # a Source alone takes 160 bytes, and with what it holds 400
