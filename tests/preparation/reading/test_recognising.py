"""What a file is by its first bytes, whatever its name says, and the way that works where it is not read."""

import bz2
import gzip
import inspect
import io
import json
import lzma
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from oomguard.preparation.reading.kinds import KINDS, Kind
from oomguard.preparation.reading.recognising import other_kind
from tests.preparation.expecting import read_tokens, tokens_of

Run = Callable[..., subprocess.CompletedProcess[str]]
DOCUMENTS = ["one two three", "", "vier fünf 六 🙂", "line\nbreak"]
LINES = "".join(json.dumps({"text": one}) + "\n" for one in DOCUMENTS).encode()


@pytest.mark.parametrize("kind", KINDS)
def test_the_reader_that_a_kind_names_is_there(kind: Kind) -> None:
    """It is found by its name when it is first needed: a file that moves would be noticed by its users alone."""
    module, _, function = KINDS[kind].reader.partition(":")
    reader = getattr(import_module(f"oomguard.preparation.reading.{module}"), function)
    assert {"options", "resume", "reserve"} <= set(inspect.signature(reader).parameters)


def as_parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"text": DOCUMENTS}), file)
    return file.getvalue()


def as_arrow() -> bytes:
    file = io.BytesIO()
    table = pa.table({"text": DOCUMENTS})
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    return file.getvalue()


def as_tar(data: bytes = LINES, name: str = "a.jsonl") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", as_parquet()),
        ("a.csv", as_parquet()),
        ("a.json", as_arrow()),
        ("a.jsonl", as_tar()),
        ("a.tsv", gzip.compress(as_tar())),
        ("part-00000", gzip.compress(LINES)),
    ],
    ids=["parquet.jsonl", "parquet.csv", "arrow.json", "tar.jsonl", "tar.gz.tsv", "gz without a name"],
)
def test_what_the_name_does_not_say_is_read(oomguard: Run, tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    done = oomguard("prepare", name, "--val-fraction", "0")
    assert done.returncode == 0, done.stderr
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of(DOCUMENTS)
    assert f"{name}: read as " in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("name", "data", "what", "do"),
    [
        ("a.jsonl.gz", gzip.compress(gzip.compress(LINES)), "compressed twice", "gzip -d a.jsonl.gz"),
        ("a.jsonl.gz", LINES, "is not gz, although its name says so", "mv -n a.jsonl.gz a.jsonl"),
        ("a.txt.xz", gzip.compress(LINES), "is not xz, although its name says so", "mv -n a.txt.xz a.txt.gz"),
        ("a.txt.gz", lzma.compress(LINES), "is not gz, although its name says so", "mv -n a.txt.gz a.txt.xz"),
        ("a b.txt", as_tar(b"one two " * 9999), "a tar archive", "--input-format tar"),
        ("a.txt", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", "this is PDF", "pdftotext a.txt"),
        ("a.jsonl", LINES + bytes(50_000), "a.jsonl:5: zero bytes", "--bad-files skip keeps"),
        ("a.jsonl", bytes(50_000), "zero bytes", "download the file again"),
        ("a b.jsonl", LINES.replace(b"\n", b"\r"), "end with CR alone", r"tr '\r' '\n' < 'a b.jsonl' | oomguard prepare -"),
        ("a.jsonl", LINES.replace(b'{"', b'\x1e{"'), "text sequence", r"tr -d '\036' < a.jsonl | oomguard prepare -"),
        ("a.jsonl", b'{"text": "a"}{"text": "b"}\n', "Extra data", "--input-format json"),
        ("a.json", b'["a", "b"]', "a JSON array", "jq -c '.[] | {text: .}' < a.json | oomguard prepare -"),
        ("a b.parquet", as_arrow(), "is Arrow by its first bytes, and not Parquet", "mv -n 'a b.parquet' 'a b.arrow'"),
        ("a.arrow", as_parquet(), "is Parquet by its first bytes, and not Arrow", "mv -n a.arrow a.parquet"),
        ("a.parquet", LINES, "is JSON Lines by its first bytes, and not Parquet", "mv -n a.parquet a.jsonl"),
        ("a.csv", b'"id";"text"\n"1";"one"\n', "a.csv:1:", "delimiter=';'))\" < a.csv | oomguard prepare -"),
        ("a.tar", as_tar(b'[{"text": "a"}]', "x/a.json"), "member x/a.json", "tar -xf a.tar, and name the extracted files"),
        ("a.csv", b"id;text\n1;one\n", 'the columns are: "id;text"', "delimiter=';'))\" < a.csv | oomguard prepare -"),
        ("a.csv", b"id\ttext\n1\tone\n", 'no column "text"', "--input-format tsv"),
        ("a.tsv", b"id,text\n1,one\n", 'no column "text"', "--input-format csv"),
        ("a b.csv", b"id,text\r1,one\r", "end with CR alone", r"tr '\r' '\n' < 'a b.csv' | oomguard prepare - --input-format csv"),
        ("a.csv", "id,text\n1,é\n".encode("utf-16"), "a.csv is UTF-16", "--input-encoding utf-16"),
        ("a.tsv", "id\ttext\n1\té\n".encode("utf-16-be"), "a.tsv is UTF-16-BE", "--input-encoding utf-16-be"),
        ("a b.feather", b"FEA1" + bytes(400), "Feather of version 1", "pyarrow.feather.write_feather"),
        ("a.parquet", b"PK\x03\x04" + bytes(400), "a zip archive", "unpack it"),
        ("a.txt.xz", lzma.compress(bz2.compress(LINES)), "compressed twice: bz2 within xz", "xz -d a.txt.xz"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # gzip's bytes hold the time
)  # fmt: skip
def test_what_is_not_read_is_named_with_the_way_that_works(
    oomguard: Run, tmp_path: Path, name: str, data: bytes, what: str, do: str
) -> None:
    (tmp_path / name).write_bytes(data)
    refused = oomguard("prepare", name, "--val-fraction", "0")
    assert refused.returncode == 1
    said = " ".join(refused.stderr.split())
    assert what in said
    assert do in said
    assert not list((tmp_path / "tokens").glob("*.bin"))


def test_an_empty_array_among_other_inputs_holds_no_documents(oomguard: Run, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[ ]\n")
    (tmp_path / "b.jsonl").write_text("[]")
    (tmp_path / "c.txt").write_text("one")
    done = oomguard("prepare", "a.json", "b.jsonl", "c.txt", "--val-fraction", "0")
    assert done.returncode == 0, done.stderr
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of(["one"])


@pytest.mark.parametrize("mark", ["\x0b", "\x1c", "\x85", "\u2028"])
def test_only_a_line_feed_ends_the_header_of_a_csv(oomguard: Run, tmp_path: Path, mark: str) -> None:
    (tmp_path / "a.csv").write_text(f"a{mark}b,text\n1,one\n", encoding="utf-8")
    done = oomguard("prepare", "a.csv", "--val-fraction", "0")
    assert done.returncode == 0, done.stderr
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of(["one"])


@pytest.mark.parametrize("delimiter", [";", "|"])
def test_the_line_for_another_delimiter_works(oomguard: Run, tmp_path: Path, delimiter: str) -> None:
    """As far as the pipe into oomguard."""
    rows = [["id", "text"], ["1", f'one{delimiter} "two"'], ["2", "x, y" * 100_000]]
    quoted = [[f'"{field.replace(chr(34), chr(34) * 2)}"' for field in row] for row in rows]
    (tmp_path / "a.csv").write_text("".join(delimiter.join(row) + "\n" for row in quoted))
    refused = oomguard("prepare", "a.csv", "--val-fraction", "0")
    line = refused.stderr.partition("try: ")[2].partition(" | oomguard")[0]
    made = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, check=True)
    (tmp_path / "b.csv").write_bytes(made.stdout)
    done = oomguard("prepare", "b.csv", "--val-fraction", "0")
    assert done.returncode == 0, done.stderr
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of([row[1] for row in rows[1:]])


def test_json_lines_called_txt_are_text_and_it_is_said(oomguard: Run, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_bytes(LINES)
    (tmp_path / "c.txt").write_text("a { b }\n")
    done = oomguard("prepare", "--val-fraction", "0")
    assert done.returncode == 0, done.stderr
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of([LINES.decode()] * 2 + ["a { b }\n"])
    said = " ".join(done.stdout.split())
    assert "a.txt and 1 more: read as text, as the name says, though its lines are JSON objects" in said
    asked = oomguard("prepare", "--val-fraction", "0", "--input-format", "text", "--out", "asked")
    assert "though its lines" not in asked.stdout


@pytest.mark.parametrize(("name", "begin"), [("a.jsonl", '{"text": "'), ("a.csv", "text\n"), ("a", '{"text": "')])
def test_the_letters_of_a_tar_s_magic_in_a_text_make_it_no_tar(
    oomguard: Run, tmp_path: Path, name: str, begin: str
) -> None:
    document = "a" * (257 - len(begin)) + "ustar"
    (tmp_path / name).write_text(f"{begin}{document}" + ('"}\n' if begin.startswith("{") else "\n"))
    done = oomguard("prepare", name, "--val-fraction", "0")
    assert done.returncode == 0, done.stderr
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of([document])


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.arrow")
    assert other_kind(str(tmp_path / "a.arrow"), "arrow") is None


@pytest.mark.parametrize(
    ("name", "other", "data"), [("a.arrow", "a.parquet", as_parquet()), ("a.txt.xz", "a.txt.gz", b"")]
)
def test_the_line_that_renames_a_file_replaces_no_other(
    oomguard: Run, tmp_path: Path, name: str, other: str, data: bytes
) -> None:
    (tmp_path / name).write_bytes(data or gzip.compress(LINES))
    (tmp_path / other).write_bytes(b"another one")
    refused = oomguard("prepare", name)
    (line,) = (line.strip().removeprefix("try: ") for line in refused.stderr.splitlines() if "try: " in line)
    subprocess.run(line.partition(", or")[0], shell=True, check=False, cwd=tmp_path)
    assert (tmp_path / other).read_bytes() == b"another one"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a b.jsonl.gz", gzip.compress(LINES.replace(b"\n", b"\r"))),
        ("PROFILE.jsonl.xz", lzma.compress(LINES.replace(b"\n", b"\r"))),
        ("a.csv.gz", gzip.compress(b"id;text\n" + b"".join(b'1;"%s"\n' % one.encode() for one in DOCUMENTS))),
    ],
    ids=["jsonl.gz", "jsonl.xz", "csv.gz"],
)
@pytest.mark.parametrize("through_pipe", [False, True])
def test_the_line_for_what_is_compressed_works(
    oomguard: Run, tmp_path: Path, name: str, data: bytes, through_pipe: bool
) -> None:
    (tmp_path / name).write_bytes(data)
    if through_pipe:
        kind = "csv" if "csv" in name else "jsonl"
        text = lzma.decompress(data) if name.endswith("xz") else gzip.decompress(data)
        refused = oomguard("prepare", "-", "--input-format", kind, stdin=text.decode())
    else:
        refused = oomguard("prepare", name)
    assert refused.returncode == 1
    (line,) = (line.strip().removeprefix("try: ") for line in refused.stderr.splitlines() if "try: " in line)
    if through_pipe:
        cat = "xzcat" if name.endswith("xz") else "zcat"
        line = line.replace("COMMAND |", f"{cat} '{name}' |")
    command = line.replace("oomguard prepare", f"{sys.executable} -m oomguard prepare --val-fraction 0")
    done = subprocess.run(command, shell=True, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, line + done.stderr
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of(DOCUMENTS)
