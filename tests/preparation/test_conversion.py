"""`convert`: the same tokens and documents in another format, there and back; what would be lost is refused."""

import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oomguard.errors import BadInput, Changed, NothingFound, OomguardError
from oomguard.preparation.conversion import ConvertOptions, EndsFacts, convert, decide_ends
from oomguard.preparation.inspection import inspect
from oomguard.preparation.writing.formats.base import Layout
from oomguard.preparation.writing.formats.table import FORMATS
from tests.preparation.reading.token_streams import Stream, files_in, write_all
from tests.preparation.writing.formats.readers import READERS
from tests.properties import some_of
from tests.running import run_oomguard, wait_until

EOT = 50256
BLOCK = 8
CHANCE = np.random.default_rng(3)
# Each with its end-of-text: an empty one, one longer than a shard, many.
DOCUMENTS = [
    [*CHANCE.integers(0, 50_000, size).tolist(), EOT] for size in [3, 0, 500, 17, 0, *CHANCE.integers(0, 60, 40)]
]
PLACES = [(name, each.block_size and BLOCK) for name, each in FORMATS.items()] + [("arrow", BLOCK)]
PAIRS = [(source, place) for source in PLACES for place in PLACES]
# Each format is a source and a place in `make check`; of the other pairs another quarter is tried each time.
FAST = [(source, place) for source, place in PAIRS if (PLACES.index(source) - PLACES.index(place)) % 5 == 1]
OTHERS = some_of([pair for pair in PAIRS if pair not in FAST], one_in=4)


def stream_of(name: str, block: int | None, documents: list[list[int]] = DOCUMENTS, *, width: int = 2) -> Stream:
    shards = None if FORMATS[name].one_file else 160
    return Stream(
        name, shard_tokens=shards, val_fraction="0.2", block_size=block, documents=documents, token_bytes=width
    )


def made(folder: Path, name: str, block: int | None = None, **more: Any) -> Stream:
    """Shards without a manifest, as somebody else would have them."""
    stream = stream_of(name, block, **more)
    write_all(stream, folder, size=41, checkpoint_seconds=1e9)
    shutil.rmtree(folder / ".oomguard")
    return stream


def options(source: Path, name: str, out: Path, block: int | None = None, **more: object) -> ConvertOptions:
    asked = {"shard_tokens": None if FORMATS[name].one_file else 160, "block_size": block, "encoding": "gpt2"}
    named = {"name": "x"} if FORMATS[name].default_name else {}
    return ConvertOptions(folder=source, format=name, out=out, **(asked | named | {"eot_token": EOT} | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "place"),
    [*FAST, *(pytest.param(*pair, marks=pytest.mark.slow) for pair in OTHERS)],
    ids=str,
)
def test_there_is_what_prepare_would_have_made_and_back_again(
    tmp_path: Path, source: tuple[str, int | None], place: tuple[str, int | None]
) -> None:
    """Every pair: the bytes of each file, also of the indexes."""
    made(tmp_path / "a", *source)
    write_all(stream_of(*place), tmp_path / "reference", size=29, checkpoint_seconds=1e9)
    lossy = source[0] == "olmo"  # id, src and loc
    there = convert(options(tmp_path / "a", place[0], tmp_path / "b", place[1], lossy=lossy))
    wanted = files_in(tmp_path / "reference")
    if place[0] == "datatrove":  # which names the tokenizer
        wanted = {name: content.replace(b"gpt2|", b"r50k_base|") for name, content in wanted.items()}
    assert files_in(tmp_path / "b") == wanted
    assert there.tokens == sum(map(len, DOCUMENTS))
    assert bool(there.lost) == lossy
    again = options(tmp_path / "b", source[0], tmp_path / "c", source[1], eot_token=None)
    convert(replace(again, encoding=None))
    back, first = files_in(tmp_path / "c"), files_in(tmp_path / "a")
    if source[0] == "datatrove":
        first = {name: content.replace(b"gpt2|", b"r50k_base|") for name, content in first.items()}
    assert back == first


@pytest.mark.parametrize("name", ["nanogpt", "megatron", "arrow", "mds"])
def test_wide_ids_stay(tmp_path: Path, name: str) -> None:
    stream = made(tmp_path / "a", name, FORMATS[name].block_size and BLOCK, width=4)
    for target in ("npy", "megatron", "litdata"):
        block = FORMATS[target].block_size and BLOCK
        convert(options(tmp_path / "a", target, tmp_path / target, block, encoding="cl100k_base"))
        for split, documents in stream.sides().items():
            tokens, _ = READERS[target](tmp_path / target, split, 4)
            assert tokens == list(itertools.chain.from_iterable(documents))


@pytest.mark.parametrize(
    ("source", "target", "loss"),
    [("megatron", "nanogpt", "where documents end"), ("nanogpt", "datatrove", "each split would be one document")],
)
def test_what_would_be_lost_is_refused_by_name(tmp_path: Path, source: str, target: str, loss: str) -> None:
    made(tmp_path / "a", source)
    asked = options(tmp_path / "a", target, tmp_path / "b", eot_token=None, encoding=None)
    with pytest.raises(BadInput, match=loss) as caught:
        convert(asked)
    assert "--lossy" in caught.value.do
    assert "--eot-token" in caught.value.do
    assert not (tmp_path / "b").exists()
    assert loss in convert(replace(asked, lossy=True)).lost[0]


def test_the_folder_here_is_converted_into_one_beside_it(tmp_path: Path) -> None:
    """As "." has no name of its own."""
    made(tmp_path / "mine", "nanogpt")
    for where, named in (("mine", "."), ("mine/below", "..")):
        (tmp_path / where).mkdir(exist_ok=True)
        done = run_oomguard("convert", named, "--format", "npy", "--encoding", "gpt2", "--lossy", cwd=tmp_path / where)
        assert done.returncode == 0, done.stderr
        assert {file.suffix for file in (tmp_path / "mine-npy").glob("*.npy")} == {".npy"}
        shutil.rmtree(tmp_path / "mine-npy")


def test_a_token_that_does_not_end_each_document_is_no_end(tmp_path: Path) -> None:
    stream = stream_of("megatron", None, [[1, 2, EOT], [3, 4], [5, EOT, 6, EOT]])
    write_all(stream, tmp_path / "a")
    shutil.rmtree(tmp_path / "a" / ".oomguard")
    with pytest.raises(BadInput, match="50256"):
        convert(options(tmp_path / "a", "nanogpt", tmp_path / "b"))


def test_an_id_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    np.array([1, 2**31 + 5], "<u4").tofile(tmp_path / "a" / "00_tokens.ds")
    np.array([2], "<u8").tofile(tmp_path / "a" / "00_tokens.ds.index")
    with pytest.raises(BadInput, match="2,147,483,653"):
        convert(options(tmp_path / "a", "megatron", tmp_path / "b", encoding=None))


@pytest.mark.parametrize(
    "facts", list(itertools.product([True, False], ["before", "after", "none", None], *[[True, False]] * 3)), ids=str
)
def test_no_document_end_is_lost_without_a_word(facts: tuple[bool, str | None, bool, bool, bool]) -> None:
    stored, place, known, asked, target = facts
    decision = decide_ends(
        EndsFacts(stored=stored, eot_place=place, eot_known=known, eot_asked=asked, target_documents=target)
    )
    tokens_tell = known and place in ("before", "after")
    if target:
        assert bool(decision.loss) == (not stored and not tokens_tell)
    elif stored:
        assert bool(decision.loss) == (not asked and not tokens_tell)
    else:
        assert not decision.loss  # there was nothing to lose


def test_foreign_shards_of_other_types_are_read(tmp_path: Path) -> None:
    """int64 lists of datasets, with two documents of which one is empty; Megatron documents of several sequences."""
    pa = pytest.importorskip("pyarrow")
    (tmp_path / "a").mkdir()
    schema = pa.schema({"input_ids": pa.list_(pa.int64()), "attention_mask": pa.list_(pa.int8())})
    with pa.OSFile(str(tmp_path / "a" / "x.arrow"), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        writer.write(pa.table([[[1, 2, 3], [], [4]], [[1] * 3, [], [1]]], schema=schema))
    made_of = convert(options(tmp_path / "a", "megatron", tmp_path / "b", eot_token=None, encoding=None))
    assert READERS["megatron"](tmp_path / "b", "train", 4) == ([1, 2, 3, 4], [[1, 2, 3], [], [4]])
    assert made_of.documents == 3


def test_a_damaged_or_foreign_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NothingFound):
        inspect(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingFound):
        inspect(tmp_path / "empty")
    made(tmp_path / "a", "megatron")
    data = tmp_path / "a" / "train_text_document.bin"
    data.write_bytes(data.read_bytes()[:-2])
    with pytest.raises(BadInput, match="its .bin holds"):
        inspect(tmp_path / "a")
    made(tmp_path / "b", "megatron")
    with pytest.raises(BadInput, match="among those"):
        convert(options(tmp_path / "b", "npy", tmp_path / "b"))


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_inspect_counts_what_is_there(tmp_path: Path, place: tuple[str, int | None]) -> None:
    made(tmp_path / "a", *place)
    found = inspect(tmp_path / "a", encoding="gpt2")
    assert found.format == place[0]
    assert sum(shard.tokens for shard in found.shards) == sum(map(len, DOCUMENTS))
    counts = [shard.documents for shard in found.shards]
    if FORMATS[place[0]].writes_documents(Layout(name="", token_bytes=2, block_size=place[1])):
        assert sum(count or 0 for count in counts) == len(DOCUMENTS)
    else:
        assert counts == [None] * len(counts)
    assert found.is_sound
    assert not found.has_manifest
    assert found.first_document


def test_inspect_sees_ids_that_the_tokenizer_does_not_have(tmp_path: Path) -> None:
    made(tmp_path / "a", "nanogpt")
    file = tmp_path / "a" / "val.bin"
    file.write_bytes(file.read_bytes() + np.array([50257, 65535], "<u2").tobytes())
    found = inspect(tmp_path / "a", encoding="gpt2")
    assert [shard.out_of_range for shard in found.shards] == [0, 2]
    assert not found.is_sound
    assert inspect(tmp_path / "a").shards[0].out_of_range is None


@pytest.mark.slow
def test_inspect_compares_every_file_with_the_manifest(tmp_path: Path) -> None:
    made(tmp_path / "a", "nanogpt")
    convert(options(tmp_path / "a", "datatrove", tmp_path / "b"))
    assert inspect(tmp_path / "b").changed == ()
    for name in files_in(tmp_path / "b"):
        file = tmp_path / "b" / name
        content = file.read_bytes()
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        try:
            assert inspect(tmp_path / "b").changed == (name,)
        except BadInput:
            assert name.endswith(".index")  # of which the last end is then another
        file.write_bytes(content)


def test_inspect_counts_a_text_whose_end_is_for_validation_once(tmp_path: Path) -> None:
    """As prepare does; each of the two shards ends a document."""
    (tmp_path / "a.txt").write_text("It was the best of times. " * 200)
    (tmp_path / "b.txt").write_text("It was the worst of times. " * 200)
    done = run_oomguard("prepare", "a.txt", "b.txt", "--val-fraction", "0.1", "--out", "t", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = inspect(tmp_path / "t")
    assert found.documents == json.loads(done.stdout)["documents"] == 2
    assert [shard.documents for shard in found.shards] == [2, 2]
    shown = run_oomguard("inspect", "t", cwd=tmp_path).stdout
    assert "documents  2 (2 of them divided between train and val)\n" in shown
    assert "tokenizer  gpt2 (r50k_base)\n" in shown


def size_of(folder: Path) -> int:
    """Of all files, while they are written and renamed."""
    size = 0
    for at, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                size += Path(at, name).stat().st_size
    return size


@pytest.mark.slow
def test_a_kill_at_any_moment_changes_nothing(tmp_path: Path) -> None:
    """SIGKILL, many times, and the same command again."""
    (tmp_path / "a").mkdir()
    tokens = np.random.default_rng(1).integers(0, 50_000, 12_000_000).astype("<u2")
    tokens[::700] = EOT
    tokens.tofile(tmp_path / "a" / "train.bin")
    whole = ConvertOptions(
        folder=tmp_path / "a", format="datatrove", out=tmp_path / "whole", eot_token=EOT, shard_tokens=1_500_000
    )
    convert(whole)
    code = (
        "import sys; from pathlib import Path; import oomguard.preparation.conversion as c; c._CHECKPOINT_SECONDS = 0;"
        "c.convert(c.ConvertOptions(folder=Path(sys.argv[1]), format='datatrove', out=Path(sys.argv[2]), "
        f"eot_token={EOT}, shard_tokens=1_500_000))"
    )
    kills = 0
    command = [sys.executable, "-c", code, str(tmp_path / "a"), str(tmp_path / "b")]
    size = size_of(tmp_path / "whole")
    for part in (0.0, 0.001, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        child = subprocess.Popen(command)
        wait_until(lambda: size_of(tmp_path / "b") >= part * size or child.poll() is not None)  # noqa: B023
        time.sleep(random.uniform(0, 0.02))
        child.kill()
        kills += child.wait() != 0
    subprocess.run(command, check=True)
    assert kills > 2
    assert files_in(tmp_path / "b") == files_in(tmp_path / "whole")


def test_a_source_that_changes_is_not_gone_on_with(tmp_path: Path) -> None:
    made(tmp_path / "a", "nanogpt")
    asked = options(tmp_path / "a", "llmc", tmp_path / "b")
    convert(asked)
    assert convert(asked).already_done
    file = tmp_path / "a" / "train.bin"
    file.write_bytes(file.read_bytes() + b"\1\0")
    with pytest.raises(Changed):
        convert(asked)
    assert convert(replace(asked, restart=True)).tokens == sum(map(len, DOCUMENTS)) + 1


def test_the_disk_is_not_touched_where_names_are_taken(tmp_path: Path) -> None:
    made(tmp_path / "a", "nanogpt")
    (tmp_path / "b" / "train").mkdir(parents=True)
    (tmp_path / "b" / "train" / "mine.ds").write_bytes(b"x")
    with pytest.raises(OomguardError, match=r"mine\.ds"):
        convert(options(tmp_path / "a", "datatrove", tmp_path / "b"))
    assert files_in(tmp_path / "b") == {"train/mine.ds": b"x"}
