"""`prepare --shuffle`: the documents of the same run without it, in the documented order, whatever happens on the way."""

import hashlib
import itertools
import json
import os
import random
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from math import ceil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oomguard.preparation.writing.formats.table import FORMATS
from tests.preparation.expecting import tokens_of
from tests.preparation.reading.token_streams import files_in
from tests.preparation.writing.formats.readers import READERS
from tests.running import kill_all, run_oomguard, started, wait_until

pytestmark = pytest.mark.slow  # whole runs
Run = Callable[..., subprocess.CompletedProcess[str]]
CHANCE = random.Random(11)
WORDS = ["It", " was", " the", " best", "\n", " été", " 字", " 1775"]
DOCUMENTS = [
    "",
    *("".join(CHANCE.choices(WORDS, k=CHANCE.choice([0, 3, 90, 900]))) for _ in range(300)),
    " word" * 40_000,
    *("".join(CHANCE.choices(WORDS, k=40)) for _ in range(300)),
]
SEED = 5


def in_order(numbers: list[int], seed: int = SEED) -> list[int]:
    """By the documented hash."""
    key = seed.to_bytes(8, "little")
    return sorted(numbers, key=lambda n: hashlib.blake2b(n.to_bytes(8, "little"), digest_size=16, key=key).digest())


def split_numbers(count: int, fraction: Fraction) -> dict[str, list[int]]:
    """As without --shuffle."""
    is_val = [ceil((number + 1) * fraction) > ceil(number * fraction) for number in range(count)]
    return {split: [n for n in range(count) if is_val[n] == (split == "val")] for split in ("train", "val")}


def write_inputs(folder: Path) -> None:
    (folder / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in DOCUMENTS))


def check(out: Path, name: str, *, encoding: str = "gpt2", width: int = 2, eot: str = "after") -> None:
    for split, numbers in split_numbers(len(DOCUMENTS), Fraction("0.1")).items():
        documents = [tokens_of([DOCUMENTS[n]], encoding=encoding, eot=eot) for n in in_order(numbers)]
        tokens, parts = READERS[name](out, split, width)
        assert tokens == list(itertools.chain.from_iterable(documents)), split
        if name in ("megatron", "datatrove", "olmo", "arrow"):
            assert parts == documents, split


@pytest.mark.parametrize("name", list(FORMATS))
def test_each_loader_sees_the_documents_in_the_new_order(tmp_path: Path, name: str) -> None:
    """With one worker or two; nothing of the buckets is left."""
    write_inputs(tmp_path)
    shards = [] if FORMATS[name].one_file else ["--shard-tokens", "16384"]
    command = ("prepare", "in.jsonl", "--format", name, "--val-fraction", "0.1", "--shuffle", str(SEED), *shards)
    # They hand on tokens in one order, whatever is written of them: both numbers for one format, one for each other.
    number = list(FORMATS).index(name)
    for workers in ("1", "2") if number == 0 else (str(1 + number % 2),):
        out = tmp_path / f"out{workers}"
        done = run_oomguard(*command, "--out", out.name, "--workers", workers, "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        check(out, name, eot="before" if name in ("npy", "llmc") else "after")
        assert sorted(file.name for file in (out / ".oomguard").iterdir()) == ["lock", "manifest.jsonl"]
        made = json.loads(done.stdout)
        assert (made["shuffle"], made["documents"]) == (SEED, len(DOCUMENTS))
        assert '"shuffle":5' in (out / ".oomguard" / "manifest.jsonl").read_text()


def test_wide_ids(tmp_path: Path) -> None:
    data = os.environ.get("OOMGUARD_DATA")
    if data is None:
        pytest.skip("needs cl100k_base.tiktoken: set OOMGUARD_DATA to a folder with vocab/cl100k_base.tiktoken")
    write_inputs(tmp_path)
    environment = {**os.environ, "TIKTOKEN_CACHE_DIR": str(Path(data, "vocab"))}
    options = ("--format", "datatrove", "--encoding", "cl100k_base", "--val-fraction", "0.1", "--shuffle", str(SEED))
    done = run_oomguard("prepare", "in.jsonl", *options, "--out", "out", cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    check(tmp_path / "out", "datatrove", encoding="cl100k_base", width=4)


@pytest.mark.parametrize("kind", ["text.txt", "text.txt.gz", "in.jsonl.gz", "in.parquet", "-", "many"])
def test_any_input_gives_its_documents(tmp_path: Path, kind: str) -> None:
    """With what ends a document for each kind: a separator, a line, a row, a file."""
    write_inputs(tmp_path)
    documents = [text.replace("\n", " ") for text in DOCUMENTS] if kind.startswith("text") else DOCUMENTS
    flags: tuple[str, ...] = ()
    stdin = ""
    if kind.startswith("text"):
        (tmp_path / "text.txt").write_text("\n".join(documents) + "\n")
        flags = ("--separator", r"\n")
    if kind == "in.parquet":
        pq.write_table(pa.table({"text": documents}), tmp_path / kind, row_group_size=100)
    if kind.endswith(".gz"):
        subprocess.run(["gzip", str(tmp_path / kind.removesuffix(".gz"))], check=True)
    if kind == "-":
        stdin, flags = (tmp_path / "in.jsonl").read_text(), ("--input-format", "jsonl")
    inputs = [kind]
    if kind == "many":
        documents = [text for text in documents[:40] if text]
        inputs = [f"{number:03d}.txt" for number in range(len(documents))]
        for name, text in zip(inputs, documents, strict=True):
            (tmp_path / name).write_text(text)
    command = ("prepare", *inputs, *flags, "--val-fraction", "0.1", "--shuffle", str(SEED), "--out", "out", "--format")
    done = run_oomguard(*command, "datatrove", cwd=tmp_path, stdin=stdin)
    assert done.returncode == 0, done.stderr
    assert ("a text file is one document" in " ".join(done.stderr.split())) == (kind == "many")
    for split, numbers in split_numbers(len(documents), Fraction("0.1")).items():
        assert READERS["datatrove"](tmp_path / "out", split, 2)[1] == [
            tokens_of([documents[n]]) for n in in_order(numbers)
        ]


@pytest.mark.parametrize("name", ["npy", "llmc"])
def test_the_first_shard_has_the_same_documents(tmp_path: Path, name: str) -> None:
    """Where all of it is for validation; the one that goes on behind it does so in the next shard."""
    write_inputs(tmp_path)
    command = ("prepare", "in.jsonl", "--format", name, "--shard-tokens", "16384", "--quiet")
    for out, flags in (("plain", ()), ("out", ("--shuffle", str(SEED)))):
        done = run_oomguard(*command, *flags, "--out", out, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    documents = [tokens_of([text], eot="before") for text in DOCUMENTS]
    begins = [0, *itertools.accumulate(map(len, documents))][:-1]
    first = [n for n, begin in enumerate(begins) if begin < 16384]
    order = [*in_order(first[:-1]), first[-1], *in_order(list(range(len(first), len(documents))))]
    tokens = list(itertools.chain.from_iterable(documents[n] for n in order))
    assert READERS[name](tmp_path / "out", "val", 2)[0] == tokens[:16384]
    assert READERS[name](tmp_path / "out", "train", 2)[0] == tokens[16384:]
    assert sorted(tokens[:16384]) == sorted(READERS[name](tmp_path / "plain", "val", 2)[0])


def test_the_ends_of_texts_are_for_validation_as_without(tmp_path: Path) -> None:
    """Of texts without a separator each head is one document, and each end."""
    texts = [" ".join(CHANCE.choices(["alpha", "beta", "gamma"], k=4000)) for _ in range(3)]
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.txt").write_text(text)
    command = ("prepare", "0.txt", "1.txt", "2.txt", "--val-fraction", "0.2", "--quiet")
    for out, flags in (("plain", ()), ("out", ("--shuffle", str(SEED)))):
        done = run_oomguard(*command, *flags, "--out", out, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    for split in ("train", "val"):
        parts = []
        for out in ("plain", "out"):
            tokens = READERS["nanogpt"](tmp_path / out, split, 2)[0]
            ends = [at + 1 for at, token in enumerate(tokens) if token == 50256]
            assert len(ends) == 3
            assert ends[-1] == len(tokens)
            parts.append([tokens[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)])
        assert parts[1] == [parts[0][n] for n in in_order([0, 1, 2])]


def spooled(out: Path) -> int:
    size = 0
    for file in (out / ".oomguard" / "spool").glob("*.tokens"):
        with suppress(FileNotFoundError):  # its documents are in the shards since this moment
            size += file.stat().st_size
    return size


def has_begun(out: Path, what: str) -> bool:
    """Whether a line of a kind is in the manifest of the shards."""
    file = out / ".oomguard" / "manifest.jsonl"
    return file.exists() and what in file.read_text()


@pytest.mark.parametrize("name", ["nanogpt", "datatrove", "llmc"])
def test_killed_in_either_half_it_goes_on(tmp_path: Path, corpus: Path, name: str) -> None:
    """SIGKILL of everything while buckets are filled, and while shards are written from them."""
    shards = [] if FORMATS[name].one_file else ["--shard-tokens", "30000"]
    command = (
        "prepare",
        str(corpus / "text.txt"),
        "--separator",
        r"\n==\n",
        "--shuffle",
        "3",
        "--format",
        name,
        *shards,
    )
    done = run_oomguard(*command, "--out", "whole", "--workers", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    slow = ("--out", "out", "--verify", "full", "--workers", "1")
    with started(*command, *slow, cwd=tmp_path, piece_bytes=1 << 16, checkpoint_seconds=0.01) as process:
        wait_until(lambda: (out / ".oomguard" / "spool").is_dir() and spooled(out) > 200_000)
        kill_all(process)
    assert not has_begun(out, '"shard"')
    with started(*command, "--out", "out", cwd=tmp_path, checkpoint_seconds=0.0) as process:
        wait_until(lambda: has_begun(out, '"document":') or process.poll() is not None)
        kill_all(process)
    again = run_oomguard(*command, "--out", "out", "--workers", "2", "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert files_in(out) == files_in(tmp_path / "whole")
    assert not (out / ".oomguard" / "spool").exists()
    plain = run_oomguard(*command, "--out", "out", "--json", cwd=tmp_path)
    assert json.loads(plain.stdout)["already_done"] is True


def test_a_signal_ends_it_in_the_first_half(tmp_path: Path, corpus: Path) -> None:
    """With what to do; another seed, and no seed, are refused until it is finished."""
    command = ("prepare", str(corpus / "text.txt"), "--separator", r"\n==\n", "--out", "out")
    seed = ("--shuffle", "3")
    slow = ("--verify", "full", "--workers", "1")
    out = tmp_path / "out"
    with started(*command, *seed, *slow, cwd=tmp_path, piece_bytes=1 << 16, checkpoint_seconds=0.01) as process:
        wait_until(lambda: (out / ".oomguard" / "spool").is_dir() and spooled(out) > 100_000)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "stopped: by SIGTERM" in " ".join(said.split())
    other = run_oomguard(*command, "--shuffle", "4", cwd=tmp_path)
    assert other.returncode == 1
    assert "another job's shards are here: shuffle was 3, and now it is 4" in " ".join(other.stderr.split())
    none = run_oomguard(*command, cwd=tmp_path)
    assert none.returncode == 1
    assert "a run with --shuffle was begun in out and is not finished" in " ".join(none.stderr.split())
    assert spooled(out) > 100_000
    restarted = run_oomguard(*command, "--restart", cwd=tmp_path)
    assert restarted.returncode == 0, restarted.stderr
    assert not (out / ".oomguard" / "spool").exists()
    assert run_oomguard(*command, *seed, cwd=tmp_path).returncode == 1
    assert run_oomguard(*command, *seed, "--restart", cwd=tmp_path).returncode == 0


def test_what_cannot_be_shuffled_is_refused(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    (tmp_path / "text.txt").write_text("one two three " * 100)
    (tmp_path / "empty.jsonl").write_text("")
    for arguments, status, words in (
        (
            ("text.txt", "--shuffle", "1"),
            1,
            "text.txt is one document without --separator: there is nothing to shuffle",
        ),
        (("in.jsonl", "--shuffle", "1", "--extend"), 1, "--extend adds after what is there"),
        (("in.jsonl", "--shuffle", "-1"), 2, "-1 is not from 0 to 18446744073709551615"),
        (("in.jsonl", "--shuffle", "1", "--job-only"), 1, "--shuffle"),
        (("in.jsonl", "--shuffle", "1", "--provenance"), 1, "--provenance follows the order of the input"),
        (("empty.jsonl", "--shuffle", "1"), 1, "holds no text"),
    ):
        done = run_oomguard("prepare", *arguments, cwd=tmp_path)
        assert done.returncode == status, done.stderr
        assert words in done.stderr
    assert not (tmp_path / "job.json").exists()
    done = run_oomguard("prepare", "in.jsonl", "--quiet", cwd=tmp_path)  # the failed ones keep nobody out
    assert done.returncode == 0, done.stderr


def test_documents_do_not_wait_behind_a_link(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/ta000.tokens").write_text("precious")
    (tmp_path / "out/.oomguard").mkdir(parents=True)
    (tmp_path / "out/.oomguard/spool").symlink_to(tmp_path / "elsewhere")
    done = run_oomguard("prepare", "in.jsonl", "--out", "out", "--shuffle", "1", cwd=tmp_path)
    assert done.returncode == 1
    assert "spool is a link" in done.stderr
    assert files_in(tmp_path / "elsewhere") == {"ta000.tokens": b"precious"}
    (tmp_path / "out/.oomguard/spool").unlink()  # as it says
    assert run_oomguard("prepare", "in.jsonl", "--out", "out", "--shuffle", "1", cwd=tmp_path).returncode == 0


def test_nothing_is_added_to_a_shuffled_set(tmp_path: Path) -> None:
    """And it stays as it is."""
    write_inputs(tmp_path)
    (tmp_path / "more.jsonl").write_text('{"text": "one more"}\n')
    done = run_oomguard("prepare", "in.jsonl", "--shuffle", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    before = files_in(tmp_path / "tokens")
    refused = run_oomguard("prepare", "in.jsonl", "more.jsonl", "--extend", cwd=tmp_path)
    assert refused.returncode == 1
    assert "the documents in tokens are shuffled" in refused.stderr
    assert "try: --restart --shuffle 1 with all inputs" in refused.stderr
    assert files_in(tmp_path / "tokens") == before
    assert list((tmp_path / "tokens" / ".oomguard").glob("*.partial")) == []


def test_a_long_document_is_streamed(tmp_path: Path) -> None:
    """In 128 MiB, with many short ones around it."""
    word, between = " streamed", "\n==\n"
    short = [f"{word}{number % 10}" for number in range(3000)]
    long = word * 9_000_000  # 81 MB of text; its tokens take 18 MB, and what is held has at most some 3
    (tmp_path / "in.txt").write_text(between.join([*short, long, *short]))
    command = ("run", "--max-rss", "128M", "prepare", "in.txt", "--separator", r"\n==\n", "--val-fraction", "0")
    done = run_oomguard(*command, "--shuffle", str(SEED), "--json", "--verify", "off", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert made["peak_unreclaimable"] <= 128 << 20
    ids = {text: tokens_of([text]) for text in set(short)}
    unit = tokens_of([word], eot="none")
    assert tokens_of([word * 3], eot="none") == unit * 3
    expected = [[*unit * 9_000_000, 50256] if n == 3000 else ids[short[n % 3001]] for n in in_order(list(range(6001)))]
    tokens = np.fromfile(tmp_path / "tokens" / "train.bin", "<u2")
    assert np.array_equal(tokens, np.fromiter(itertools.chain.from_iterable(expected), np.uint16))


def test_one_document_is_shuffled(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "only one"}\n')
    done = run_oomguard("prepare", "in.jsonl", "--shuffle", "1", "--val-fraction", "0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert READERS["nanogpt"](tmp_path / "tokens", "train", 2)[0] == tokens_of(["only one"])


def test_a_bad_file_is_skipped_with_what_came_before_it(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": f"good {n}"}) + "\n" for n in range(50)) + "{bad\n")
    (tmp_path / "b.jsonl").write_text("".join(json.dumps({"text": f"more {n}"}) + "\n" for n in range(50)))
    command = (
        "prepare",
        "a.jsonl",
        "b.jsonl",
        "--bad-files",
        "skip",
        "--shuffle",
        "9",
        "--val-fraction",
        "0",
        "--json",
    )
    done = run_oomguard(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert [file["path"] for file in made["bad_files"]] == ["a.jsonl"]
    documents = [*(f"good {n}" for n in range(50)), *(f"more {n}" for n in range(50))]
    expected = tokens_of(documents[n] for n in in_order(list(range(100)), 9))
    assert READERS["nanogpt"](tmp_path / "tokens", "train", 2)[0] == expected


def test_folded_last_shards_are_full(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    command = ("prepare", "in.jsonl", "--format", "datatrove", "--val-fraction", "0.1", "--shuffle", str(SEED))
    done = run_oomguard(
        *command, "--shard-tokens", "20000", "--last-shard", "fold", "--out", "out", "--json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert all(shard["tokens"] >= 20_000 for shard in json.loads(done.stdout)["shards"] if shard["split"] == "train")
    check(tmp_path / "out", "datatrove")


def test_dry_run_and_plan_say_the_disk(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    shown = run_oomguard("prepare", "in.jsonl", "--shuffle", "1", "--dry-run", cwd=tmp_path)
    assert "--shuffle takes about" in shown.stdout.replace("\n", " ")
    plain = run_oomguard("prepare", "in.jsonl", "--dry-run", "--json", cwd=tmp_path)
    shuffled = run_oomguard("prepare", "in.jsonl", "--shuffle", "1", "--dry-run", "--json", cwd=tmp_path)
    assert json.loads(shuffled.stdout)["shuffle"] == 1
    assert json.loads(plain.stdout)["shuffle"] is None
    assert json.loads(shuffled.stdout)["sum"] > json.loads(plain.stdout)["sum"]
    plans = [
        json.loads(run_oomguard("plan", "in.jsonl", *flags, "--no-calibration", "--json", cwd=tmp_path).stdout)
        for flags in ((), ("--shuffle", "1"))
    ]
    assert plans[1]["disk_needed"] > 1.8 * plans[0]["disk_needed"] - (1 << 21)
    assert "--shuffle 1" in plans[1]["command_line"]
