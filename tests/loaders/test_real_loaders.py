"""The packages that people train with read what oomguard wrote, and their own writers write the same. `make loaders`.

Each needs its package, most need torch; without it the test is skipped. What they read is compared with the reference
and with the NumPy readers, which run everywhere.
"""

import importlib.machinery
import itertools
import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.preparation.reading.token_streams import Stream, write_all
from tests.preparation.writing.formats.readers import READERS
from tests.preparation.writing.formats.test_every_format import DOCUMENTS, WIDE

BLOCK = 8
WIDTHS = pytest.mark.parametrize("width", [2, 4])
SHARDS = pytest.mark.parametrize("shard_tokens", [4000, 120], ids=["one", "three"])


def made(folder: Path, name: str, *, width: int, shard_tokens: int | None, block: int | None = None) -> Stream:
    documents = DOCUMENTS if width == 2 else [[*document, *WIDE] if document else [] for document in DOCUMENTS]
    stream = Stream(
        name,
        shard_tokens=shard_tokens,
        val_fraction="0.3",
        token_bytes=width,
        block_size=block,
        documents=[*documents, *([[3] * 30] * 9)],
    )
    write_all(stream, folder, size=37, checkpoint_seconds=1e9)
    return stream


def flat(documents: list[list[int]]) -> list[int]:
    return list(itertools.chain.from_iterable(documents))


def same_bytes(real: Path, ours: Path) -> None:
    assert real.read_bytes() == ours.read_bytes(), f"{real.name}: as the real writer has it"


@WIDTHS
def test_megatron_core(tmp_path: Path, width: int) -> None:
    module = pytest.importorskip("megatron.core.datasets.indexed_dataset", exc_type=ImportError)
    torch = pytest.importorskip("torch")
    stream = made(tmp_path, "megatron", width=width, shard_tokens=None)
    dtype = {2: np.uint16, 4: np.int32}[width]
    assert module.DType.optimal_dtype({2: 65_499, 4: 65_500}[width]) == dtype
    for split, documents in stream.sides().items():
        prefix = tmp_path / f"{split}_text_document"
        dataset = module.IndexedDataset(str(prefix))
        assert [dataset[number].tolist() for number in range(len(dataset))] == documents
        assert dataset.document_indices.tolist() == list(range(len(documents) + 1))
        assert dataset.index.sequence_lengths.dtype == np.int32
        real = tmp_path / f"real_{split}"
        builder = module.IndexedDatasetBuilder(f"{real}.bin", dtype=dtype)
        for document in documents:
            builder.add_document(torch.tensor(document, dtype=torch.int64), [len(document)])
        builder.finalize(f"{real}.idx")
        same_bytes(real.with_suffix(".bin"), prefix.with_suffix(".bin"))
        same_bytes(real.with_suffix(".idx"), prefix.with_suffix(".idx"))


@WIDTHS
@SHARDS
def test_datatrove(tmp_path: Path, width: int, shard_tokens: int) -> None:
    pytest.importorskip("torch")
    datasets = pytest.importorskip("datatrove.utils.dataset")
    tokenizer = pytest.importorskip("datatrove.pipeline.tokens.tokenizer")
    stream = made(tmp_path, "datatrove", width=width, shard_tokens=shard_tokens)
    for split, documents in stream.sides().items():
        files = sorted((tmp_path / split).glob("*.ds"))
        dataset = datasets.DatatroveFolderDataset(
            str(tmp_path / split), BLOCK - 1, token_size=width, return_positions=True
        )
        windows = [dataset[number] for number in range(len(dataset))]
        own = [np.fromfile(file, f"<u{width}").tolist() for file in files]
        expected = [tokens[at : at + BLOCK] for tokens in own for at in range(0, len(tokens) // BLOCK * BLOCK, BLOCK)]
        assert [window["input_ids"].tolist() for window in windows] == expected
        assert flat(own) == flat(documents)
        at = 0
        for file in files:
            ends = np.fromfile(f"{file}.index", "<u8").tolist()
            real = tokenizer.TokenizedFile(
                str(tmp_path / "real"), file.name, save_index=True, save_final_metadata=True, save_loss_metadata=False,
                tokenizer_name_or_path="gpt2", token_size=width,
            )  # fmt: skip
            for document in documents[at : at + len(ends)]:
                real.write(document, None)
            real.close()
            for name in (file.name, f"{file.name}.index", f"{file.name}.metadata"):
                same_bytes(tmp_path / "real" / name, tmp_path / split / name)
            at += len(ends)
        assert at == len(documents)


@WIDTHS
@SHARDS
def test_olmo_core(tmp_path: Path, width: int, shard_tokens: int) -> None:
    olmo = pytest.importorskip("olmo_core.data", exc_type=ImportError)
    utils = pytest.importorskip("olmo_core.data.utils")
    stream = made(tmp_path, "olmo", width=width, shard_tokens=shard_tokens)
    dtype = {2: np.uint16, 4: np.uint32}[width]
    for split, documents in stream.sides().items():
        files = sorted(tmp_path.glob(f"*_{split}_*.npy"))
        found, windows, expected = [], [], []
        for file in files:
            tokens = np.fromfile(file, dtype).tolist()
            found += [tokens[start:end] for start, end in utils.iter_document_indices(str(file))]
            expected += [tokens[at : at + BLOCK] for at in range(0, len(tokens) // BLOCK * BLOCK, BLOCK)]
        assert found == documents
        usable = [str(file) for file in files if file.stat().st_size >= BLOCK * width]
        dataset = olmo.NumpyFSLDataset(
            *usable, sequence_length=BLOCK, pad_token_id=0, eos_token_id=0, vocab_size=2**31, dtype=dtype
        )
        dataset.prepare()
        windows = [dataset[number]["input_ids"].tolist() for number in range(len(dataset))]
        assert windows == expected


@WIDTHS
@SHARDS
@pytest.mark.parametrize("block", [None, BLOCK])
def test_datasets(tmp_path: Path, width: int, shard_tokens: int, block: int | None) -> None:
    datasets = pytest.importorskip("datasets")
    stream = made(tmp_path, "arrow", width=width, shard_tokens=shard_tokens, block=block)
    for split, documents in stream.sides().items():
        loaded = datasets.load_from_disk(str(tmp_path / split))
        tokens, rows = READERS["arrow"](tmp_path, split, width)
        assert loaded["input_ids"][:] == rows
        assert loaded.features["input_ids"].feature.dtype == f"uint{8 * width}"
        assert tokens == flat(documents)
        again = datasets.load_dataset(
            "arrow", data_files=sorted(map(str, (tmp_path / split).glob("*.arrow"))), split="train",
            cache_dir=str(tmp_path / "cache"),
        )  # fmt: skip
        assert again["input_ids"][:] == rows
        kind = datasets.Features({"input_ids": datasets.Sequence(datasets.Value(f"uint{8 * width}"))})
        datasets.Dataset.from_dict({"input_ids": rows}, features=kind).save_to_disk(str(tmp_path / "real" / split))
        for name in ("state.json", "dataset_info.json"):
            real = json.loads((tmp_path / "real" / split / name).read_text())
            assert real.keys() == json.loads((tmp_path / split / name).read_text()).keys()


@WIDTHS
@SHARDS
def test_litdata(tmp_path: Path, width: int, shard_tokens: int) -> None:
    litdata = pytest.importorskip("litdata")
    writer = pytest.importorskip("litdata.streaming.writer")
    torch = pytest.importorskip("torch")
    stream = made(tmp_path, "litdata", width=width, shard_tokens=shard_tokens, block=BLOCK)
    for split, documents in stream.sides().items():
        tokens = flat(documents)
        dataset = litdata.StreamingDataset(
            str(tmp_path / split), item_loader=litdata.TokensLoader(block_size=BLOCK), shuffle=False
        )
        blocks = [dataset[number].tolist() for number in range(len(dataset))]
        assert blocks == [tokens[at : at + BLOCK] for at in range(0, len(tokens) // BLOCK * BLOCK, BLOCK)]
        index = json.loads((tmp_path / split / "index.json").read_text())
        real = tmp_path / "real" / split
        cache = writer.BinaryWriter(str(real), chunk_size=1, item_loader=litdata.TokensLoader(block_size=BLOCK))
        at = 0
        for number, chunk in enumerate(index["chunks"]):
            own = tokens[at : at + chunk["dim"]]
            item = np.array(own, np.uint16) if width == 2 else torch.tensor(own, dtype=torch.int32)
            cache.add_item(number, item)
            at += chunk["dim"]
        cache.done()
        cache.merge(1)
        written = json.loads((real / "index.json").read_text())
        for key in ("chunk_bytes", "chunk_size", "dim"):
            assert [chunk[key] for chunk in written["chunks"]] == [chunk[key] for chunk in index["chunks"]]
        for key in ("compression", "data_format", "data_spec", "encryption", "item_loader"):
            assert written["config"][key] == index["config"][key], key
        for ours, theirs in zip(index["chunks"], written["chunks"], strict=True):
            same_bytes(real / theirs["filename"], tmp_path / split / ours["filename"])


@WIDTHS
@SHARDS
def test_streaming(tmp_path: Path, width: int, shard_tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    streaming = import_streaming(monkeypatch)
    stream = made(tmp_path, "mds", width=width, shard_tokens=shard_tokens, block=BLOCK)
    for split, documents in stream.sides().items():
        tokens = flat(documents)
        blocks = [tokens[at : at + BLOCK] for at in range(0, len(tokens), BLOCK)]
        dataset = streaming.StreamingDataset(local=str(tmp_path / split), batch_size=1, shuffle=False)
        assert [dataset[number]["tokens"].tolist() for number in range(len(dataset))] == blocks
        index = json.loads((tmp_path / split / "index.json").read_text())
        at = 0
        for shard in index["shards"]:
            columns = dict(zip(shard["column_names"], shard["column_encodings"], strict=True))
            real = tmp_path / "real" / split / shard["raw_data"]["basename"]
            with streaming.MDSWriter(out=str(real), columns=columns) as writer:
                for block in blocks[at : at + shard["samples"]]:
                    writer.write({"tokens": np.array(block, f"uint{8 * width}")})
            at += shard["samples"]
            same_bytes(real / "shard.00000.mds", tmp_path / split / shard["raw_data"]["basename"])
            (written,) = json.loads((real / "index.json").read_text())["shards"]
            written["raw_data"]["basename"] = shard["raw_data"]["basename"]
            assert written == shard
        assert at == len(blocks)


def import_streaming(monkeypatch: pytest.MonkeyPatch) -> Any:
    """It imports torchvision for its own image datasets, which no CPU build of torch fits."""
    pytest.importorskip("torch")
    try:
        import torchvision  # type: ignore[import-not-found]  # noqa: F401 - where a loader needs it
    except Exception:  # noqa: BLE001 - it may fail in any way
        for name in (
            "torchvision",
            "torchvision.transforms",
            "torchvision.transforms.functional",
            "torchvision.datasets",
        ):
            stub = types.ModuleType(name)
            stub.__spec__ = importlib.machinery.ModuleSpec(name, None)
            stub.to_tensor = stub.VisionDataset = object  # type: ignore[attr-defined]
            monkeypatch.setitem(sys.modules, name, stub)
    return pytest.importorskip("streaming")
