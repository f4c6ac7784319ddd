"""Files byte for byte as the anchors' own scripts write them, and their loaders' rules, stated again here.

Sources: build-nanogpt fineweb.py and train_gpt2.py, llm.c dev/data/data_common.py, fineweb.py and train_gpt2.py,
modded-nanogpt train_gpt.py, nanoGPT data/openwebtext/prepare.py and train.py.
"""

import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import oomguard
from oomguard.errors import BadInput
from oomguard.preparation.encoding.encodings import find_encoding
from oomguard.preparation.model import ShardSet
from tests.reference import encoding_of

pytestmark = pytest.mark.slow  # whole runs

Prepare = Callable[..., ShardSet]
WORDS = ["It", " was", " the", " best", " of", " times", ",", "\n", " été", " 字", " 1775"]


def make_documents(seed: int, count: int, *, giant: int = 0) -> list[str]:
    chance = random.Random(seed)
    documents = ["".join(chance.choices(WORDS, k=chance.randrange(60))) for _ in range(count)]
    return [*documents[: count // 2], " word" * giant, *documents[count // 2 :]] if giant else documents


def write_shards_as_fineweb_py_does(
    documents: list[str], folder: Path, shard_size: int, write: Callable[[Path, Any], None]
) -> dict[str, bytes]:
    """One buffer of `shard_size`; a document that does not fit is split over two; the first shard is "val".

    As in both scripts, but for a document longer than a shard, on which they end with an error.
    """
    encoding = encoding_of("r50k_base")
    stream = np.array(
        [token for document in documents for token in [50256, *encoding.encode_ordinary(document)]], np.uint16
    )
    folder.mkdir()
    for index in range(-(-len(stream) // shard_size)):
        split = "val" if index == 0 else "train"
        write(folder / f"edufineweb_{split}_{index:06d}", stream[index * shard_size : (index + 1) * shard_size])
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def write_datafile(filename: Path, tokens: npt.NDArray[np.uint16]) -> None:
    """As llm.c's data_common.py, model_desc "gpt-2"."""
    header = np.zeros(256, dtype=np.int32)
    header[0] = 20240520
    header[1] = 1
    header[2] = len(tokens)
    with filename.with_suffix(".bin").open("wb") as file:
        file.write(header.tobytes())
        file.write(tokens.tobytes())


def files_in(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    def run(documents: list[str], **options: Any) -> ShardSet:
        lines = "".join(json.dumps({"text": document}) + "\n" for document in documents)
        (tmp_path / "corpus.jsonl").write_text(lines)
        return oomguard.prepare(
            oomguard.PrepareOptions(inputs=(str(tmp_path / "corpus.jsonl"),), out=tmp_path / "out", **options)
        )

    return run


CASES = {
    "documents over several shards": (make_documents(1, 60), 100),
    "a document longer than five shards": (make_documents(2, 20, giant=533), 100),
    "one shard": (make_documents(3, 5), 10**8),
    "a token a shard": ([*make_documents(4, 1)[:1], "a b"], 1),
    "one token": ([""], 100),
}


@pytest.mark.parametrize(("documents", "shard_tokens"), CASES.values(), ids=CASES)
def test_npy_is_what_fineweb_py_writes(
    tmp_path: Path, prepare: Prepare, documents: list[str], shard_tokens: int
) -> None:
    """build-nanogpt: np.save of uint16, end-of-text before each document, shard 0 for validation."""
    expected = write_shards_as_fineweb_py_does(documents, tmp_path / "theirs", shard_tokens, np.save)
    made = prepare(documents, format="npy", shard_tokens=shard_tokens)
    assert files_in(tmp_path / "out") == expected
    assert [shard.path for shard in made.shards] == sorted(expected, key=lambda name: name[-10:])


@pytest.mark.parametrize(("documents", "shard_tokens"), CASES.values(), ids=CASES)
def test_llmc_is_what_write_datafile_writes(
    tmp_path: Path, prepare: Prepare, documents: list[str], shard_tokens: int
) -> None:
    expected = write_shards_as_fineweb_py_does(documents, tmp_path / "theirs", shard_tokens, write_datafile)
    prepare(documents, format="llmc", shard_tokens=shard_tokens, name="edufineweb")
    assert files_in(tmp_path / "out") == expected


@pytest.mark.parametrize("format", ["npy", "llmc"])
def test_tokens_that_fill_the_last_shard_make_no_empty_one(tmp_path: Path, prepare: Prepare, format: str) -> None:
    documents = [" word" * 9] * 10  # of 10 tokens with end-of-text
    prepare(documents, format=format, shard_tokens=20)
    assert len(files_in(tmp_path / "out")) == 5
    assert len({len(content) for content in files_in(tmp_path / "out").values()}) == 1


def test_nanogpt_is_the_documents_one_after_another(tmp_path: Path, prepare: Prepare) -> None:
    """nanoGPT's openwebtext: ids, then end-of-text, `tofile` of uint16; each 10th document for validation here."""
    documents = make_documents(5, 100)
    prepare(documents, val_fraction="0.1")
    encoding = encoding_of("r50k_base")
    for name, part in {"val.bin": documents[::10], "train.bin": [d for n, d in enumerate(documents) if n % 10]}.items():
        ids = [token for document in part for token in [*encoding.encode_ordinary(document), 50256]]
        np.array(ids, dtype=np.uint16).tofile(tmp_path / "theirs.bin")
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "theirs.bin").read_bytes()


@pytest.mark.parametrize("encoding", ["cl100k_base", "o200k_base"])
@pytest.mark.parametrize("format", ["nanogpt", "npy"])
def test_ids_above_65535_are_uint32(tmp_path: Path, prepare: Prepare, format: str, encoding: str) -> None:
    """And the screen says that the trainer must be told."""
    spec, documents = find_encoding(encoding), make_documents(6, 30)
    reference = encoding_of(spec.name)
    made = prepare(documents, format=format, encoding=encoding, val_fraction="0")
    ids = [[spec.eot, *reference.encode_ordinary(document)] for document in documents]
    flat = [token for document in ids for token in (document if format == "npy" else [*document[1:], spec.eot])]
    file = tmp_path / "out" / made.shards[0].path
    seen = np.load(file) if format == "npy" else np.fromfile(file, "<u4")
    assert seen.dtype == np.uint32
    assert seen.tolist() == flat
    assert made.token_bytes == 4


def test_llmc_refuses_ids_that_do_not_fit(prepare: Prepare) -> None:
    with pytest.raises(BadInput, match="65,536"):
        prepare(["a"], format="llmc", encoding="cl100k_base")


# The loaders, as their sources have them.


def load_tokens(filename: Path) -> npt.NDArray[np.int32]:
    """build-nanogpt train_gpt2.py."""
    return np.load(filename).astype(np.int32)


def shards_of_build_nanogpt(data_root: Path, split: str) -> list[Path]:
    """build-nanogpt DataLoaderLite: every name in the folder that contains the split's."""
    return [data_root / shard for shard in sorted(shard for shard in os.listdir(data_root) if split in shard)]


def load_data_shard(filename: Path) -> npt.NDArray[np.uint16]:
    """llm.c train_gpt2.py and modded-nanogpt train_gpt.py `_load_data_shard`; the size as llmc/dataloader.h checks it."""
    content = filename.read_bytes()
    header = np.frombuffer(content[: 256 * 4], dtype=np.int32)
    assert header[0] == 20240520, "magic number mismatch"
    assert header[1] == 1, "unsupported version"
    assert len(content) == 1024 + 2 * header[2], "number of tokens read does not match header"
    return np.frombuffer(content, dtype=np.uint16, offset=1024)


def get_batch(
    data: npt.NDArray[np.uint16], block_size: int, batch_size: int
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """nanoGPT train.py."""
    for i in np.random.default_rng(1).integers(0, len(data) - block_size, batch_size):
        yield data[i : i + block_size].astype(np.int64), data[i + 1 : i + 1 + block_size].astype(np.int64)


def test_build_nanogpts_loader_sees_the_shards_and_nothing_else(tmp_path: Path, prepare: Prepare) -> None:
    """Neither the manifest nor temporary files are in its way."""
    made = prepare(make_documents(7, 60), format="npy", shard_tokens=200)
    for split in ("train", "val"):
        shards = shards_of_build_nanogpt(tmp_path / "out", split)
        assert [shard.name for shard in shards] == [shard.path for shard in made.shards if shard.split == split]
        assert sum(len(load_tokens(shard)) for shard in shards) == sum(
            s.tokens for s in made.shards if s.split == split
        )


def test_llmcs_loaders_accept_every_shard(tmp_path: Path, prepare: Prepare) -> None:
    documents = make_documents(8, 60)
    made = prepare(documents, format="llmc", shard_tokens=200)
    tokens = np.concatenate([load_data_shard(tmp_path / "out" / shard.path) for shard in made.shards])
    assert len(tokens) == made.tokens
    assert int((tokens == 50256).sum()) == len(documents)  # what modded-nanogpt aligns its batches to
    assert tokens[0] == 50256


def test_nanogpts_loader_gives_neighbouring_tokens(tmp_path: Path, prepare: Prepare) -> None:
    prepare(make_documents(9, 60))
    data = np.memmap(tmp_path / "out" / "train.bin", dtype=np.uint16, mode="r")
    for x, y in get_batch(data, block_size=32, batch_size=12):
        assert x[1:].tolist() == y[:-1].tolist()
        assert max(x.max(), y.max()) <= 50256


def test_name_is_the_users(tmp_path: Path, prepare: Prepare) -> None:
    """Also one with characters that a glob would take for something else."""
    prepare(make_documents(1, 10), format="npy", shard_tokens=100, name="my[1] corpus")
    assert max(files_in(tmp_path / "out")) == "my[1] corpus_val_000000.npy"
