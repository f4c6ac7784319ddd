"""One bad file among several: with --bad-files skip it is named, what comes before the fault is kept, and all else."""

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from tests.preparation.disturbing import sums_of
from tests.preparation.expecting import read_tokens, tokens_of
from tests.properties import some_of
from tests.running import run_oomguard, started

pytestmark = pytest.mark.slow  # whole runs

DOCUMENTS = [f"document {number} of a file " * (number % 7) for number in range(3000)]
NO_VAL = ("--val-fraction", "0", "--quiet")


def lines(documents: list[str]) -> bytes:
    return "".join(json.dumps({"text": one}) + "\n" for one in documents).encode()


def torn_gz(path: Path) -> None:
    data = gzip.compress(lines(DOCUMENTS))
    path.write_bytes(data[: len(data) * 2 // 3])


def broken_line(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + lines(DOCUMENTS[:2000]) + b"{broken\n" + lines(DOCUMENTS[2000:]))


def null_row(path: Path) -> None:
    pq.write_table(pa.table({"text": [*DOCUMENTS[:2000], None, *DOCUMENTS[2000:]]}), path, data_page_size=4096)


def torn_array(path: Path) -> None:
    path.write_bytes(json.dumps([{"text": one} for one in DOCUMENTS]).encode()[:100_000])


def torn_arrow(path: Path) -> None:
    file = io.BytesIO()
    table = pa.table({"text": DOCUMENTS})
    with pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=100)
    path.write_bytes(file.getvalue()[:-20_000])


def open_quote(path: Path) -> None:
    path.write_text("text,id\n" + "".join(f'"{one}",1\n' for one in DOCUMENTS[:2000]) + '"open,2\n' + "x,1\n" * 10)


def torn_tar(path: Path) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for number in range(3):
            data = lines(DOCUMENTS[number * 1000 : number * 1000 + 1000])
            info = tarfile.TarInfo(f"{number}.jsonl")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    path.write_bytes(file.getvalue()[:-40_000])


def twice_compressed(path: Path) -> None:
    path.write_bytes(gzip.compress(gzip.compress(lines(DOCUMENTS))))


def zipped(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04" + bytes(range(256)) * 9)


def other_column(path: Path) -> None:
    pq.write_table(pa.table({"content": DOCUMENTS}), path)


KINDS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "torn gz": ("b.jsonl.gz", torn_gz),
    "broken line": ("b.jsonl", broken_line),
    "null": ("b.parquet", null_row),
    "torn array": ("b.json", torn_array),
    "torn arrow": ("b.arrow", torn_arrow),
    "open quote": ("b.csv", open_quote),
    "torn tar": ("b.tar", torn_tar),
    "other column": ("c.parquet", other_column),
    "twice compressed": ("b.jsonl.gz", twice_compressed),
    "zip": ("b.jsonl", zipped),
}


@pytest.mark.parametrize("kind", some_of(list(KINDS), one_in=2))
def test_a_bad_file_is_named_and_the_others_are_read(tmp_path: Path, kind: str) -> None:
    name, make = KINDS[kind]
    make(tmp_path / name)
    for good in ("a.jsonl", "z.jsonl"):
        (tmp_path / good).write_bytes(lines([good, "", "the other"]))
    command = ("prepare", "a.jsonl", name, "z.jsonl", *NO_VAL)
    stopped = run_oomguard(*command, "--out", "stopped", cwd=tmp_path)
    assert stopped.returncode == 1
    assert name in stopped.stderr

    done = run_oomguard(*command, "--bad-files", "skip", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    (bad,) = result["bad_files"]
    assert bad["path"] == name
    assert bad["what"] in stopped.stderr.replace("\n", " ").removeprefix("error: ") or name in bad["what"]
    kept = DOCUMENTS[: bad["documents"]]
    assert (len(kept) >= 500) == (kind not in ("other column", "twice compressed", "zip"))
    expected = tokens_of(["a.jsonl", "", "the other", *kept, "z.jsonl", "", "the other"])
    assert read_tokens(tmp_path / "tokens" / "train.bin") == expected
    assert result["documents"] == 6 + len(kept)

    again = run_oomguard(*command, "--bad-files", "skip", cwd=tmp_path)
    assert "skipped" in again.stdout
    assert name in again.stdout
    small = (*command, "--bad-files", "skip", "--out", "small", "--workers", "1")
    with started(*small, cwd=tmp_path, piece_bytes=1 << 13) as run:
        _, said = run.communicate(timeout=120)
    assert run.returncode == 0, said
    if kind in ("broken line", "torn array", "open quote"):  # else a chunk is what is kept or not
        assert sums_of(tmp_path / "small") == sums_of(tmp_path / "tokens")


def test_a_text_that_ends_in_bytes_that_are_none(tmp_path: Path) -> None:
    """It is a document as far as it goes, and has its end."""
    (tmp_path / "a.txt").write_bytes(b"one two \xff three")
    (tmp_path / "b.txt").write_text("four")
    done = run_oomguard("prepare", "a.txt", "b.txt", *NO_VAL, "--bad-files", "skip", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of(["one two ", "four"])
    assert json.loads(done.stdout)["documents"] == 2


@pytest.mark.parametrize("name", ["b.jsonl", "b.jsonl.gz", "b.parquet"])
def test_most_of_a_file_left_out_is_an_error(tmp_path: Path, name: str) -> None:
    """Each time it is tried; with --bad-files skip the file is named, and what could be read of it is kept."""
    if name.endswith("parquet"):
        pq.write_table(pa.table({"text": ["one", None, None]}), tmp_path / name)
    else:
        data = b'{"text": "one"}\n{"x": 1}\n{"x": 2}\n'
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    (tmp_path / "z.jsonl").write_bytes(lines(["two"]))
    command = ("prepare", name, "z.jsonl", *NO_VAL, "--errors", "skip")
    for _ in range(2):
        refused = run_oomguard(*command, cwd=tmp_path)
        assert refused.returncode == 1
        assert "2 of 3 documents were left out" in refused.stderr
    done = run_oomguard(*command, "--bad-files", "skip", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [file["path"] for file in result["bad_files"]] == [name]
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of(["one", "two"])
