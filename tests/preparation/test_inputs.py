"""What an input is, by its name, its content or an option; and what a folder does not take is said."""

import gzip
import io
import json
import lzma
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from tests.preparation.expecting import read_tokens, tokens_of
from tests.preparation.kinds_of_input import some_documents, write_kind
from tests.preparation.reading.reads import PACKERS
from tests.running import run_oomguard

Run = Callable[..., subprocess.CompletedProcess[str]]
pytestmark = pytest.mark.slow  # whole runs
DOCUMENTS = ["one", 'two "quoted"\n{', "", "three 字 🙂"]
LINES = "".join(json.dumps({"n": 1, "text": document}) + "\n" for document in DOCUMENTS)
NO_VAL = ("--val-fraction", "0")


def tokens_in(folder: Path) -> list[int]:
    return read_tokens(folder / "tokens" / "train.bin")


def prepare_stdin(folder: Path, data: bytes, *options: str) -> tuple[int, str]:
    """The exit status and what was said on standard error."""
    run = run_oomguard("prepare", "-", *NO_VAL, *options, cwd=folder, stdin=data)
    return run.returncode, run.stderr


@pytest.mark.parametrize("packed", ["", *PACKERS])
def test_json_lines_on_standard_input_are_never_text_in_silence(tmp_path: Path, packed: str) -> None:
    """They are refused with the options that say what they are; each of these gives that. Compressed or not."""
    data = PACKERS[packed](LINES.encode()) if packed else LINES.encode()
    status, said = prepare_stdin(tmp_path, data)
    assert status == 1
    assert "JSON" in said
    assert "--input-format jsonl" in said
    assert not tokens_in(tmp_path)
    for options in (["--text-field", "text"], ["--input-format", "jsonl"]):
        status, said = prepare_stdin(tmp_path, data, *options, "--restart")
        assert status == 0, said
        assert tokens_in(tmp_path) == tokens_of(DOCUMENTS)
    status, said = prepare_stdin(tmp_path, data, "--input-format", "text", "--restart")
    assert status == 0, said
    assert tokens_in(tmp_path) == tokens_of([LINES])


@pytest.mark.parametrize("text", ["{", '{"a": 1}\nplain\n', "plain\n", "[1]\n", '{\n  "a": 1\n}\n', "{x}\n{y}\n", ""])
def test_other_text_on_standard_input_stays_text(tmp_path: Path, text: str) -> None:
    """Also where some of it is JSON."""
    status, said = prepare_stdin(tmp_path, f"{text}and more".encode())
    assert status == 0, said
    assert tokens_in(tmp_path) == tokens_of([f"{text}and more"])


@pytest.mark.parametrize("name", ["part-00000", "a.jl", "3f5a", "part.gz", "part.xz", "part.bz2", "part.zst", "blob"])
def test_files_without_a_known_name_are_what_they_hold(oomguard: Run, tmp_path: Path, name: str) -> None:
    """JSON Lines are read as that, and it is said."""
    packed = {"blob": "gz"}.get(name, name.partition(".")[2])
    data = PACKERS[packed](LINES.encode()) if packed in PACKERS else LINES.encode()
    (tmp_path / name).write_bytes(data)
    done = oomguard("prepare", name, *NO_VAL, "--json")
    assert f"{name}: read as JSON Lines" in done.stderr
    assert any("read as JSON Lines" in note for note in json.loads(done.stdout)["notes"])
    assert "read as JSON Lines" in oomguard("prepare", name, *NO_VAL, "--dry-run").stdout
    assert done.returncode == 0, done.stderr
    assert tokens_in(tmp_path) == tokens_of(DOCUMENTS)
    field = oomguard("prepare", name, *NO_VAL, "--text-field", "text", "--out", "field")
    assert field.returncode == 0, field.stderr
    assert read_tokens(tmp_path / "field" / "train.bin") == tokens_of(DOCUMENTS)
    raw = oomguard("prepare", name, *NO_VAL, "--input-format", "text", "--out", "raw")
    assert raw.returncode == 0, raw.stderr
    assert read_tokens(tmp_path / "raw" / "train.bin") == tokens_of([LINES])


def test_parquet_without_its_name(oomguard: Run, tmp_path: Path) -> None:
    """As the Hugging Face hub's cache keeps it."""
    pq.write_table(pa.table({"text": DOCUMENTS}), tmp_path / "blob")
    done = oomguard("prepare", "blob", *NO_VAL)
    assert done.returncode == 0, done.stderr
    assert "blob: read as Parquet" in done.stderr
    assert tokens_in(tmp_path) == tokens_of(DOCUMENTS)
    refused = oomguard("prepare", "-", "--input-format", "parquet")
    assert refused.returncode == 1
    assert "cannot come through a pipe" in refused.stderr


def test_a_field_of_a_text_is_said_to_do_nothing(oomguard: Run, tmp_path: Path) -> None:
    """Also where the first of two lines could be JSON."""
    for name in ("a.txt", "part-00000"):
        (tmp_path / name).write_text('{"text": "one"}\nplain')
        done = oomguard("prepare", name, *NO_VAL, "--text-field", "text", "--restart")
        assert done.returncode == 0, done.stderr
        assert "--text-field names a field" in done.stderr
        assert tokens_in(tmp_path) == tokens_of(['{"text": "one"}\nplain'])


@pytest.mark.parametrize("name", ["long", "long.gz"])
def test_a_long_first_line(oomguard: Run, tmp_path: Path, name: str) -> None:
    """It goes on behind what is looked at."""
    lines = json.dumps({"text": "word " * 50_000}) + "\n" + LINES
    (tmp_path / name).write_bytes(gzip.compress(lines.encode()) if name.endswith("gz") else lines.encode())
    done = oomguard("prepare", name, *NO_VAL)
    assert done.returncode == 0, done.stderr
    assert tokens_in(tmp_path) == tokens_of(["word " * 50_000, *DOCUMENTS])


def test_plan_knows_them_too(oomguard: Run, tmp_path: Path) -> None:
    """Its estimate is of the documents, and its command gives the same again."""
    (tmp_path / "part-00000").write_text(LINES * 2000)
    expected = len(tokens_of(DOCUMENTS)) * 2000
    for options in ([], ["--input-format", "jsonl"]):
        planned = oomguard("plan", "part-00000", "--no-calibration", "--json", *options)
        assert planned.returncode == 0, planned.stderr
        made = json.loads(planned.stdout)
        assert made["tokens"]["low"] <= expected <= made["tokens"]["high"]
        assert ("--input-format" in made["command"]) == bool(options)


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz", "a.tar"])
def test_an_archive_is_what_is_in_it(oomguard: Run, tmp_path: Path, name: str) -> None:
    """Its headers are no tokens, and what is no text is passed over."""
    with tarfile.open(tmp_path / name, "w:gz" if name.endswith("gz") else "w") as archive:
        entry = tarfile.TarInfo("a.txt")
        entry.size = 5
        archive.addfile(entry, io.BytesIO(b"hello"))
        entry.name = "b.png"
        archive.addfile(entry, io.BytesIO(b"\x89PNG1"))
    done = oomguard("prepare", name, *NO_VAL)
    assert done.returncode == 0, done.stderr
    assert tokens_in(tmp_path) == tokens_of(["hello"])


@pytest.mark.parametrize(
    ("data", "option"),
    [
        (b"\0" * 100_000, "download the file again"),
        (b"text, and then " + b"\0" * 10_000, "download the file again"),
        (("plain text\n" * 100).encode("utf-16-le"), "--input-encoding utf-16-le"),
        (("plain text\n" * 100).encode("utf-16"), "--input-encoding utf-16"),
        (("plain text\n" * 100).encode("utf-32-be"), "--input-encoding utf-32-be"),
        ("hello world".encode("utf-16-le"), "--input-encoding utf-16-le"),
        ("hello world".encode("utf-16-be"), "--input-encoding utf-16-be"),
        ("hello world".encode("utf-16"), "--input-encoding utf-16"),
        (("plain text\n" * 100).encode("utf-32"), "--input-encoding utf-32"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_zeros_are_not_text(oomguard: Run, tmp_path: Path, data: bytes, option: str) -> None:
    """And the option that is named reads what can be read."""
    (tmp_path / "a.txt").write_bytes(data)
    refused = oomguard("prepare", "a.txt", *NO_VAL)
    assert refused.returncode == 1
    assert option in " ".join(refused.stderr.split())
    if option.startswith("--"):
        done = oomguard("prepare", "a.txt", *NO_VAL, *option.split())
        assert done.returncode == 0, done.stderr
        assert tokens_in(tmp_path) == tokens_of([data.decode(option.split()[1])])


def test_windows_of_zstd(oomguard: Run, tmp_path: Path) -> None:
    """As large as --long=31 makes them; where one does not fit, the budget that is named is enough."""
    if shutil.which("zstd") is None:
        pytest.skip("needs zstd: install it")
    text = "line of text\n" * 1000
    for long in (27, 28, 31):
        packed = subprocess.run(
            ["zstd", "-q", "--ultra", f"--long={long}", "-c"], input=text.encode(), capture_output=True, check=True
        )
        (tmp_path / "a.txt.zst").write_bytes(packed.stdout)
        done = oomguard("prepare", "a.txt.zst", *NO_VAL, "--out", f"o{long}")
        if long == 31 and "--max-rss" in done.stderr:
            break  # this machine has no 2.5 GiB free now
        assert done.returncode == 0, done.stderr
        assert read_tokens(tmp_path / f"o{long}" / "train.bin") == tokens_of([text])
    small = oomguard("run", "--max-rss", "512M", "prepare", "a.txt.zst", *NO_VAL)
    assert small.returncode == 1
    budget = re.search(r"--max-rss ([0-9]+M)", small.stderr)
    assert budget is not None
    done = oomguard("run", "--max-rss", budget[1], "prepare", "a.txt.zst", *NO_VAL)
    assert done.returncode == 0, done.stderr


LONG = [f"{number} " + "words of some text " * 60 for number in range(20_000)]


@pytest.mark.parametrize("kind", ["feather", "xz", "array", "csv", "warc", "tar"])
def test_the_smallest_budget_that_is_named_is_one_that_works(oomguard: Run, tmp_path: Path, kind: str) -> None:
    """At the start: with less nothing is written. A batch of 20 MiB and a dictionary of 64 MiB are known then."""
    documents = tuple(LONG) if kind == "feather" else some_documents(500)
    if kind == "feather":
        pyarrow.feather.write_feather(pa.table({"text": documents}), str(tmp_path / "a.feather"), compression="lz4")
        name = "a.feather"
    elif kind == "xz":
        lines = "".join(json.dumps({"text": document}) + "\n" for document in documents)
        (tmp_path / "a.jsonl.xz").write_bytes(lzma.compress(lines.encode(), preset=9))
        name = "a.jsonl.xz"
    else:
        name, _ = write_kind(kind, tmp_path, documents)
    refused = oomguard("run", "--max-rss", "24M", "prepare", name, *NO_VAL)
    assert refused.returncode == 1
    least = int(re.search(r"--max-rss (\d+)M or more", refused.stderr)[1])
    again = oomguard("run", "--max-rss", f"{least - 1}M", "prepare", name, *NO_VAL)
    assert again.returncode == 1
    assert f"--max-rss {least}M or more" in " ".join(again.stderr.split())
    assert not (tmp_path / "tokens").exists()
    if kind in ("feather", "xz"):
        assert least > 120
        assert name in refused.stderr
    done = oomguard("run", "--max-rss", f"{least}M", "prepare", name, *NO_VAL)
    assert done.returncode == 0, done.stderr
    if kind != "tar":  # whose members end with line feeds
        assert tokens_in(tmp_path) == tokens_of(list(documents))


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "array", "csv", "arrow", "warc"])
def test_the_budget_that_is_named_for_a_large_document_is_one_that_works(
    oomguard: Run, tmp_path: Path, kind: str
) -> None:
    """cases/B4: at the first go, also where its end is not known before it is read. With an emoji in it."""
    documents = (*some_documents(50), "large 🙂 " * 1_200_000, *some_documents(50))
    name, _ = write_kind(kind, tmp_path, documents)
    refused = oomguard("run", "--max-rss", "110M", "prepare", name, *NO_VAL)
    assert refused.returncode == 1
    budget = re.search(r"--max-rss (\d+M)", refused.stderr)
    assert budget is not None, refused.stderr
    done = oomguard("run", "--max-rss", budget[1], "prepare", name, *NO_VAL)
    assert done.returncode == 0, done.stderr
    assert tokens_in(tmp_path) == tokens_of(list(documents))


def test_a_folder_takes_what_it_takes_when_named_and_says_the_rest(oomguard: Run, tmp_path: Path) -> None:
    """On the screen, in the JSON and in the dry run, in one line."""
    folder = tmp_path / "c"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.jsonl").write_text('{"text": "in a"}\n')
    (folder / "b.json").write_text('{"text": "in b"}\n')
    (folder / "deep" / "c.json.gz").write_bytes(gzip.compress(b'{"text": "in c"}\n'))
    (folder / "dataset_infos.json").write_text('{"default": {"features": {}}}')
    (folder / "config.json").write_text('{\n  "text": 1\n}\n')
    (folder / "array.json").write_text('[{"text": "in an array"}]')
    for name in ("notes.csv", "deep/more.csv", "x.npz", "part-00000"):
        (folder / name).write_text("other")
    dry = " ".join(oomguard("prepare", "c", *NO_VAL, "--dry-run").stdout.split())
    done = oomguard("prepare", "c", *NO_VAL, "--json")
    assert done.returncode == 0, done.stderr
    assert tokens_in(tmp_path) == tokens_of(["in a", "in an array", "in b", "in c"])
    (note,) = (note for note in json.loads(done.stdout)["notes"] if note.startswith("ignored: 6 files ("))
    assert f"note {note}" in dry
    for kind in (".json", ".csv", ".npz", "without an extension"):
        assert kind in note
    assert f"note: {note}" in done.stderr
    assert "ignored: 6 files" in " ".join(oomguard("prepare", "c", *NO_VAL).stdout.split())


def test_a_folder_of_nothing_but_json_gz(oomguard: Run, tmp_path: Path) -> None:
    """As C4 and Dolma come; all that is there is read, and nothing is said to be passed over."""
    (tmp_path / "c").mkdir()
    for number in range(3):
        (tmp_path / "c" / f"c4-{number}.json.gz").write_bytes(gzip.compress(LINES.encode()))
    for out, inputs in (("a", ["c"]), ("b", ["c/*.json.gz"])):
        done = oomguard("prepare", *inputs, *NO_VAL, "--out", out)
        assert done.returncode == 0, done.stderr
        assert "ignored" not in done.stdout + done.stderr
        assert read_tokens(tmp_path / out / "train.bin") == tokens_of(DOCUMENTS * 3)
    other = oomguard("prepare", "c", "--text-field", "content")
    assert other.returncode == 1
    assert "ignored: 3 files (.json.gz)" in other.stderr


@pytest.mark.parametrize("field", ['a"b', "a\\b", "\u2028", "\t", "\x1b[2J", "\udcff", ""], ids=repr)
def test_a_field_of_any_name(oomguard: Run, tmp_path: Path, field: str) -> None:
    """Also one that JSON has to escape."""
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({field: f"line {n}", "other": 1}) + "\n" for n in range(50)))
    if field == "\udcff":  # no command line can give it but as a byte that is not UTF-8
        done = oomguard("prepare", "a.jsonl", *NO_VAL, "--text-field", field)
        assert done.returncode in (0, 1)
        assert "Traceback" not in done.stderr
        return
    done = oomguard("prepare", "a.jsonl", *NO_VAL, "--text-field", field)
    assert done.returncode == 0, done.stderr
    assert tokens_in(tmp_path) == tokens_of([f"line {n}" for n in range(50)])


def test_what_an_archive_holds_beside_texts_is_said(oomguard: Run, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for name in ("one.txt", "two.png", "three", "sub/four.pdf"):
            info = tarfile.TarInfo(name)
            info.size = 3
            archive.addfile(info, io.BytesIO(b"abc"))
    done = oomguard("prepare", "a.tar.gz", *NO_VAL, "--json")
    assert "a.tar.gz: ignored: 3 members (.pdf .png no extension)" in json.loads(done.stdout)["notes"]


@pytest.mark.parametrize(
    ("data", "separator", "said"),
    [
        (b"a\r\n\r\nb\r\n", r"\n\n", "--newlines universal"),
        (b"a\nb", "==", "divides nothing"),
        (b"a\n\nb\n", r"\n\n", ""),
        (b"one\0two\0", r"\0", ""),
    ],
)
def test_a_separator_that_divides_nothing_is_said(
    oomguard: Run, tmp_path: Path, data: bytes, separator: str, said: str
) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    done = oomguard("prepare", "a.txt", *NO_VAL, "--separator", separator, "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    notes = [note for note in made["notes"] if "divides nothing" in note]
    assert made["documents"] == (1 if said else 2)
    assert len(notes) == bool(said)
    assert all(said in note for note in notes)


def test_the_next_command_after_one_text_from_a_pipe_is_possible(tmp_path: Path) -> None:
    """Its last part cannot be for validation, which --val-fraction alone would be refused for."""
    run = run_oomguard("prepare", "-", "--json", cwd=tmp_path, stdin="one two three. " * 500)
    assert run.returncode == 0, run.stderr
    assert "--separator TEXT" in " ".join(json.loads(run.stdout)["next_lines"])
