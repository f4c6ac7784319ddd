"""The whole pipeline gives the ids of tiktoken's `encode_ordinary` of each document, however it is fed and divided."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import oomguard
from oomguard.preparation import memory_needs
from oomguard.preparation.encoding.encodings import find_encoding
from oomguard.preparation.encoding.safe_cuts import unify_newlines
from oomguard.preparation.engines.memory_sum import plan_budget
from oomguard.preparation.model import ShardSet
from tests.preparation.expecting import SEPARATORS, documents_of, hostile_documents, read_tokens, tokens_of
from tests.reference import encoding_of
from tests.warm import _connection

pytestmark = pytest.mark.slow  # whole runs

DOCUMENTS = [
    *hostile_documents(7, 150),
    "",
    "a <|endoftext|> inside",
    "x\r\ny\rz\n",
    "\ufeffBOM",
    "\0",
    " " * 5000,
    "1" * 3000,
]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that some hundred KB of text are hundreds of pieces."""

    def plan(*arguments: Any, **options: Any) -> Any:
        return replace(plan_budget(*arguments, **options), piece_bytes=700, longest_word=1 << 16, longest_piece=1 << 16)

    monkeypatch.setattr(memory_needs, "plan_budget", plan)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., ShardSet]:
    """Prepare files of this test's folder; `seen(token_bytes)` gives what is in train.bin."""

    def prepare(*inputs: str, **options: Any) -> ShardSet:
        inputs = tuple(str(tmp_path / name) for name in inputs)
        return oomguard.prepare(
            oomguard.PrepareOptions(inputs=inputs, out=tmp_path / "out", **{"val_fraction": "0", **options})
        )

    return prepare


def needs(name: str) -> str:
    encoding_of(find_encoding(name).name)  # skips where its ranks are not on this machine
    return name


@pytest.mark.parametrize(
    ("encoding", "workers"), [("gpt2", 1), ("gpt2", 3), ("p50k_base", 2), ("cl100k_base", 2), ("o200k_base", 2)]
)
def test_one_undivided_text(tmp_path: Path, run: Callable[..., ShardSet], encoding: str, workers: int) -> None:
    """Hundreds of pieces from any number of workers are the ids of one call; every byte is verified too."""
    text = "".join(DOCUMENTS)
    (tmp_path / "text.txt").write_text(text, newline="")
    made = run("text.txt", encoding=needs(encoding), workers=workers, verify="full")
    expected = tokens_of([text], encoding=encoding)
    assert read_tokens(tmp_path / "out" / "train.bin", token_bytes=find_encoding(encoding).token_bytes) == expected
    assert (made.tokens, made.documents, made.input_bytes) == (len(expected), 1, len(text.encode()))
    assert made.verified_bytes == (len(text.encode()) if made.engine == "core" else 0)  # tiktoken's own are not checked


@pytest.mark.parametrize(
    ("separator", "eot", "newlines"),
    [
        *zip(SEPARATORS, ["before", "after", "none", "before"], ["bytes", "universal"] * 2, strict=True),
        *zip(SEPARATORS, ["after", "none", "before", "none"], ["universal", "bytes"] * 2, strict=True),
    ],
)
def test_documents_of_a_text(
    tmp_path: Path, run: Callable[..., ShardSet], separator: str, eot: str, newlines: str
) -> None:
    """With separators that overlap themselves, next to each other, and at both ends."""
    text = separator + (separator * 3 + separator[0]).join(DOCUMENTS) + separator
    (tmp_path / "text.txt").write_text(text, newline="")
    made = run("text.txt", separator=separator.replace("\n", r"\n"), eot=eot, newlines=newlines)
    text = unify_newlines(text.encode()).decode() if newlines == "universal" else text
    documents = documents_of(text, separator)
    assert read_tokens(tmp_path / "out" / "train.bin") == tokens_of(documents, eot=eot)
    assert made.documents == len(documents)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("fraction", ["0.3", "1/7"])
def test_the_end_of_an_undivided_text_is_for_validation(
    tmp_path: Path, run: Callable[..., ShardSet], fraction: str, workers: int
) -> None:
    """The asked share, from the first safe cut on; both sides are encoded as texts of their own."""
    text = "".join(DOCUMENTS)
    (tmp_path / "text.txt").write_text(text, newline="")
    made = run("text.txt", val_fraction=fraction, workers=workers, eot="none")
    sides = [read_tokens(tmp_path / "out" / f"{split}.bin") for split in ("train", "val")]
    train, val = (encoding_of("r50k_base").decode_bytes(side) for side in sides)
    assert (train + val).decode() == text
    assert sides == [tokens_of([side.decode()], eot="none") for side in (train, val)]
    assert len(val) / len(text.encode()) == pytest.approx(float(Fraction(fraction)), abs=0.02)
    assert made.documents == 1


@pytest.mark.parametrize(("errors", "python"), [("replace", "replace"), ("skip", "ignore")])
def test_invalid_bytes(tmp_path: Path, run: Callable[..., ShardSet], errors: str, python: str) -> None:
    """U+FFFD exactly as Python's own decoder places it, and the count of bytes that were lost."""
    bad = [b"\xff", b"\xc3", b"\xe4\xb8", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\xaf"]
    raw = b"".join(document.encode() + bad[number % 6] for number, document in enumerate(DOCUMENTS))
    (tmp_path / "text.txt").write_bytes(raw)
    made = run("text.txt", errors=errors)
    assert read_tokens(tmp_path / "out" / "train.bin") == tokens_of([raw.decode(errors=python)])
    assert made.repaired_bytes == len(raw) - len(raw.decode(errors="ignore").encode())


@pytest.mark.parametrize(("errors", "python"), [("replace", "replace"), ("skip", "ignore")])
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.json", "a.csv", "a.parquet", "a.arrow"])
def test_invalid_bytes_in_records(
    tmp_path: Path, run: Callable[..., ShardSet], name: str, errors: str, python: str
) -> None:
    """The same in every kind of file with a document in each record, and of the documents beside them nothing changes."""
    values = [b"a\xffb", b"\xf0\x9f\x98", "fine é".encode(), b"", b"\xed\xa0\x80 ok", b"\xe4\xb8"]
    lines = [b'{"text": "%b"}' % value for value in values]
    path, table = tmp_path / name, pa.table({"text": pa.array(values, pa.binary())})
    match name.removeprefix("a."):
        case "jsonl":
            path.write_bytes(b"\n".join(lines))
        case "jsonl.gz":
            path.write_bytes(gzip.compress(b"\n".join(lines)))
        case "json":
            path.write_bytes(b"[" + b",\n".join(lines) + b"]")
        case "csv":
            path.write_bytes(b"n,text\r\n" + b"".join(b"1," + value + b"\r\n" for value in values))
        case "parquet":
            pq.write_table(table, path)
        case "arrow":
            with pa.ipc.new_file(path, table.schema) as writer:
                writer.write_table(table)
    made = run(name, errors=errors, verify="full")
    assert read_tokens(tmp_path / "out" / "train.bin") == tokens_of([value.decode(errors=python) for value in values])
    assert made.repaired_bytes == sum(len(value) - len(value.decode(errors="ignore").encode()) for value in values)


def make_file(path: Path, separator: str) -> None:
    """The documents in the form that the file's name says."""
    text = separator.join(DOCUMENTS).encode()
    lines = "".join(
        json.dumps({"id": 1, "text": document}, ensure_ascii=number % 2 == 0) + "\n"
        for number, document in enumerate(DOCUMENTS)
    ).encode()
    data = lines if ".jsonl" in path.name else text
    match path.suffix:
        case ".parquet":
            pq.write_table(pa.table({"text": DOCUMENTS, "n": range(len(DOCUMENTS))}), path, row_group_size=40)
        case ".gz":
            path.write_bytes(gzip.compress(data))
        case ".xz":
            path.write_bytes(lzma.compress(data))
        case ".bz2":
            path.write_bytes(bz2.compress(data))
        case ".zst":
            with pa.CompressedOutputStream(str(path), "zstd") as stream:
                stream.write(data)
        case _:
            path.write_bytes(data)


NAMES = ["a.txt", "a.txt.gz", "a.txt.zst", "a.txt.xz", "a.txt.bz2", "a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.parquet"]


@pytest.mark.parametrize(
    ("name", "val_fraction"),
    [*((name, "0") for name in NAMES), ("a.txt", "0.1"), ("a.txt.gz", "0.1"), ("a.jsonl", "0.1"), ("a.parquet", "0.1")],
)
def test_the_same_documents_give_the_same_files_in_every_form(
    tmp_path: Path, run: Callable[..., ShardSet], name: str, val_fraction: str
) -> None:
    """And the same validation split."""
    make_file(tmp_path / name, "\n===\n")
    made = run(name, separator=r"\n===\n", val_fraction=val_fraction)
    val = set() if val_fraction == "0" else set(range(0, len(DOCUMENTS), 10))
    train_documents = [document for number, document in enumerate(DOCUMENTS) if number not in val]
    assert read_tokens(tmp_path / "out" / "train.bin") == tokens_of(train_documents)
    assert read_tokens(tmp_path / "out" / "val.bin") == tokens_of(DOCUMENTS[number] for number in sorted(val))
    assert made.documents == len(DOCUMENTS)
    if not name.startswith("a.txt"):
        assert made.input_bytes == sum(len(document.encode()) for document in DOCUMENTS)


def test_inputs_of_every_kind_in_one_run_in_order(tmp_path: Path, run: Callable[..., ShardSet]) -> None:
    """The encoders change with the kind of mark between documents, and no piece comes in another's place."""
    names = [f"{number}{name}" for number, name in enumerate(["a.parquet", "a.txt", "a.jsonl", "a.txt.gz"])]
    for name in names:
        make_file(tmp_path / name, "===")
    (tmp_path / "3b.txt").write_text("")
    expected = tokens_of(
        [
            document
            for name in names
            for document in (documents_of("===".join(DOCUMENTS), "===") if ".txt" in name else DOCUMENTS)
        ]
    )
    made = run("*a.*", "3b.txt", separator="===", workers=2)
    assert read_tokens(tmp_path / "out" / "train.bin") == expected
    assert made.input_bytes > 0


def test_standard_input(oomguard: Callable[..., Any], tmp_path: Path) -> None:
    text = "".join(document for document in DOCUMENTS if document != "\0") * 3
    done = oomguard("prepare", "-", "--val-fraction", "0", "--quiet", stdin=text)
    assert done.returncode == 0, done.stderr
    # Text mode gave the command LF for CR LF.
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of([text])


@pytest.mark.parametrize("encoding", ["gpt2", "cl100k_base"])
def test_without_gigatoken(
    tmp_path: Path, run: Callable[..., ShardSet], monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    """tiktoken alone, also in the helper processes, which find an unusable gigatoken first."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "gigatoken.py").write_text("raise ImportError('not here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hidden"))
    text = "".join(DOCUMENTS)
    (tmp_path / "text.txt").write_text(text, newline="")
    run("text.txt", encoding=needs(encoding))
    assert read_tokens(tmp_path / "out" / "train.bin", token_bytes=find_encoding(encoding).token_bytes) == tokens_of(
        [text], encoding=encoding
    )


@pytest.fixture(autouse=True)
def nothing_is_left_open() -> Iterator[None]:
    """A program that prepares a thousand files does not run out of file descriptors."""
    _connection()  # of the process that starts commands: it stays
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
