"""How each format's real loader reads its files, written down in NumPy: from the bytes alone, without oomguard.

Each gives the tokens of a split and its documents, or None where the format knows none. Sources: see the modules of
oomguard.preparation.writing.formats; `make loaders` compares these with the real packages.
"""

import csv
import gzip
import json
import struct
from collections.abc import Callable, Iterable
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np

Tokens = list[int]
Read = tuple[Tokens, list[Tokens] | None]


def _parts(tokens: Tokens, ends: list[int]) -> list[Tokens]:
    assert not ends or ends[-1] == len(tokens)
    return [tokens[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _joined(parts: Iterable[Tokens]) -> Tokens:
    return list(chain.from_iterable(parts))


def nanogpt(folder: Path, split: str, width: int) -> Read:
    file = folder / f"{split}.bin"
    return (np.fromfile(file, f"<u{width}").tolist() if file.exists() else []), None


def npy(folder: Path, split: str, width: int) -> Read:
    tokens: Tokens = []
    for file in sorted(folder.glob(f"*_{split}_*.npy")):
        array = np.load(file)
        assert array.dtype == f"<u{width}"
        tokens += array.tolist()
    return tokens, None


def llmc(folder: Path, split: str, width: int) -> Read:
    tokens: Tokens = []
    for file in sorted(folder.glob(f"*_{split}_*.bin")):
        header = np.fromfile(file, "<i4", 256)
        assert tuple(header[:2]) == {2: (20240520, 1), 4: (20240801, 7)}[width]
        array = np.fromfile(file, f"<u{width}", offset=1024)
        assert len(array) == header[2]
        tokens += array.tolist()
    return tokens, None


def megatron(folder: Path, split: str, width: int) -> Read:
    index, data = folder / f"{split}_text_document.idx", folder / f"{split}_text_document.bin"
    if not index.exists():
        assert not data.exists()
        return [], []
    raw = index.read_bytes()
    assert raw[:9] == b"MMIDIDX\x00\x00"
    version, code, sequences, marks = struct.unpack("<QBQQ", raw[9:34])
    assert (version, code, len(raw)) == (1, {2: 8, 4: 4}[width], 34 + 12 * sequences + 8 * marks)
    lengths = np.frombuffer(raw, "<i4", sequences, 34)
    pointers = np.frombuffer(raw, "<i8", sequences, 34 + 4 * sequences)
    documents = np.frombuffer(raw, "<i8", marks, 34 + 12 * sequences)
    bytes_of = data.read_bytes()
    assert len(bytes_of) == int(lengths.sum()) * width
    rows = [
        np.frombuffer(bytes_of, {2: "<u2", 4: "<i4"}[width], int(length), int(pointer)).tolist()
        for length, pointer in zip(lengths, pointers, strict=True)
    ]
    found = [_joined(rows[first:last]) for first, last in pairwise(documents)]
    return _joined(rows), found


def datatrove(folder: Path, split: str, width: int) -> Read:
    tokens: Tokens = []
    documents: list[Tokens] = []
    for file in sorted((folder / split).glob("*.ds")):
        own = np.fromfile(file, f"<u{width}").tolist()
        ends = np.fromfile(f"{file}.index", "<u8").tolist()
        name, count, words = Path(f"{file}.metadata").read_text().split("\n")
        assert name.endswith(f"|{width}")
        assert int(count) == len(own)
        assert words.endswith("T")
        tokens += own
        documents += _parts(own, ends)
    return tokens, documents


def olmo(folder: Path, split: str, width: int) -> Read:
    tokens: Tokens = []
    documents: list[Tokens] = []
    for file in sorted(folder.glob(f"*_{split}_*.npy")):
        own = np.fromfile(file, f"<u{width}").tolist()
        with gzip.open(file.with_suffix(".csv.gz"), "rt", newline="") as rows:
            places = [(int(start), int(end)) for start, end, _, _, _ in csv.reader(rows)]
        assert [start for start, _ in places] == [0, *(end for _, end in places)][: len(places)]
        tokens += own
        documents += _parts(own, [end for _, end in places])
    return tokens, documents


def arrow(folder: Path, split: str, width: int) -> Read:
    """Only the buffers of each batch, found by their places in the message; pyarrow is asked elsewhere."""
    where = folder / split
    if not where.exists():
        return [], []
    state = json.loads((where / "state.json").read_text())
    info = json.loads((where / "dataset_info.json").read_text())
    assert info["features"]["input_ids"]["feature"]["dtype"] == f"uint{8 * width}"
    names = [item["filename"] for item in state["_data_files"]]
    assert names == sorted(file.name for file in where.glob("*.arrow"))
    rows: list[Tokens] = []
    for name in names:
        raw, at, body = (where / name).read_bytes(), 0, 0
        messages: list[Any] = []
        while True:
            mark, size = struct.unpack_from("<II", raw, at)
            assert mark == 0xFFFFFFFF
            if not size:
                break
            message = raw[at + 8 : at + 8 + size]
            body = struct.unpack_from("<q", message, 32)[0] if messages else 0
            messages.append((message, raw[at + 8 + size : at + 8 + size + body]))
            at += 8 + size + body
        assert at + 8 == len(raw)
        for message, content in messages[1:]:
            places = struct.unpack_from("<8q", message, 80)
            offsets = np.frombuffer(content, "<i4", places[3] // 4, places[2]).tolist()
            values = np.frombuffer(content, f"<u{width}", places[7] // width, places[6]).tolist()
            rows += [values[start:end] for start, end in pairwise(offsets)]
    return _joined(rows), rows


def litdata(folder: Path, split: str, width: int) -> Read:
    where = folder / split
    if not where.exists():
        return [], None
    index = json.loads((where / "index.json").read_text())
    assert index["config"]["data_format"] == {2: ["no_header_numpy:5"], 4: ["no_header_tensor:16"]}[width]
    tokens: Tokens = []
    for chunk in index["chunks"]:
        raw = (where / chunk["filename"]).read_bytes()
        assert len(raw) == chunk["chunk_bytes"]
        items = struct.unpack_from("<I", raw)[0]
        offsets = struct.unpack_from(f"<{items + 1}I", raw, 4)
        assert (items, offsets[0], offsets[-1]) == (chunk["chunk_size"], 4 * (items + 2), len(raw))
        own = np.frombuffer(raw, f"<u{width}", offset=4 * (chunk["chunk_size"] + 2)).tolist()
        assert len(own) == chunk["dim"]
        tokens += own
    return tokens, None


def mds(folder: Path, split: str, width: int) -> Read:
    """Each sample is a block."""
    where = folder / split
    if not where.exists():
        return [], []
    index = json.loads((where / "index.json").read_text())
    assert index["version"] == 2
    blocks: list[Tokens] = []
    for shard in index["shards"]:
        raw = (where / shard["raw_data"]["basename"]).read_bytes()
        assert len(raw) == shard["raw_data"]["bytes"]
        count = struct.unpack_from("<I", raw)[0]
        offsets = struct.unpack_from(f"<{count + 1}I", raw, 4)
        keys = ("version", "format", "compression", "hashes", "size_limit", "column_names", "column_encodings")
        assert json.loads(raw[4 + 4 * (count + 1) : offsets[0]]) == {key: shard[key] for key in (*keys, "column_sizes")}
        assert (count, offsets[-1]) == (shard["samples"], len(raw))
        for start, end in pairwise(offsets):
            data = raw[start:end]
            if shard["column_sizes"] == [None]:
                assert struct.unpack_from("<I", data)[0] == len(data) - 4
                kind = data[4] % 4
                assert data[4] >> 2 == 1
                data = data[5 + (1 << kind) :]
            else:
                assert shard["column_sizes"] == [len(data)]
            blocks.append(np.frombuffer(data, f"<u{width}").tolist())
    return _joined(blocks), blocks


READERS: dict[str, Callable[[Path, str, int], Read]] = {
    each.__name__: each for each in (nanogpt, npy, llmc, megatron, datatrove, olmo, arrow, litdata, mds)
}
