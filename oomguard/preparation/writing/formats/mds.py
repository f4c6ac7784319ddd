"""MosaicML streaming's MDS shards of token blocks, for its StreamingDataset (llm-foundry, Composer).

Source: streaming/base/format/mds/writer.py encode_joint_shard(): number of samples, their offsets from the file's
start, the configuration as JSON, samples; encodings.py NDArray: `ndarray:uint16:2048` is raw values,
`ndarray:uint16` has its shape before them. A shard with a block that is not whole is of the second kind.
"""

from __future__ import annotations

import json
import re
import struct
from array import array
from typing import TYPE_CHECKING, Any

from oomguard.kernel.plain_files import open_regular
from oomguard.preparation.writing.formats.base import (
    OutputFormat,
    again,
    block_ends,
    no_train_file,
    python_line,
    quoted,
    tail_note,
)
from oomguard.preparation.writing.formats.stored import RawShard, split_folders, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from oomguard.preparation.writing.formats.base import FinishedSet, FinishedShard, Layout, OpenShard
    from oomguard.preparation.writing.formats.stored import StoredShard

_COLUMN = "tokens"  # which llm-foundry looks for
_SIZE_LIMIT = 1 << 26  # MDSWriter's default; readers do not use it
_WIDTHS = {"uint16": "<u2", "uint32": "<u4", "int32": "<i4", "int64": "<i8"}
_SAMPLE_EXTRA = 32  # bytes that a sample may take beside its tokens, generously: offset, size, shape


class Mds(OutputFormat):
    """A folder a split, of shards."""

    name = "mds"
    help = "shards for MosaicML streaming, llm-foundry"
    owned = re.compile(r"(?:train|val)/(?:shard\.[0-9]{5,}\.mds|index\.json)")
    shard_tokens = 1 << 25
    folders = True
    is_built = True
    block_size = 2048
    takes_blocks = True

    def most_tokens(self, token_bytes: int) -> int:
        return (2**32 - 1) // (token_bytes + _SAMPLE_EXTRA)  # offsets are uint32; so for blocks of one token

    def file_name(self, layout: Layout, split: str, index: int) -> str:
        return f"{split}/shard.{index:05d}.mds"

    def content(self, layout: Layout, shard: OpenShard) -> Iterator[bytes]:
        block = _block(layout)
        config = _config_text(layout, shard.tokens)
        samples = -(-shard.tokens // block)
        start = 4 + 4 * (samples + 1) + len(config)
        yield struct.pack("<2I", samples, start)
        for ends in block_ends(shard.tokens, block):
            yield array("I", [start + _sample_bytes(layout, shard.tokens, end) for end in ends]).tobytes()
        yield config
        if not shard.tokens % block:
            yield from shard.data(0, shard.tokens)
            return
        for ends in block_ends(shard.tokens, block):
            for end in ends:
                tokens = (end - 1) % block + 1
                shape = _shape(tokens)
                yield struct.pack("<I", len(shape) + tokens * layout.token_bytes) + shape
                yield from shard.data(end - tokens, end)

    def split_files(self, layout: Layout, split: str, shards: Sequence[FinishedShard]) -> dict[str, bytes]:
        index = {"shards": [_entry(layout, shard) for shard in shards], "version": 2}
        return {f"{split}/index.json": json.dumps(index, sort_keys=True).encode()}

    def notes(self, done: FinishedSet) -> list[str]:
        if not done.tokens("train"):
            return [no_train_file(done, "train folder")]
        return tail_note(done, "kept as a sample of its own, which a batch takes only with a collate_fn that pads")

    def next_lines(self, done: FinishedSet) -> list[str]:
        if not done.tokens("train"):
            return again(done, "--val-fraction 0")
        return [
            "next: samples for a DataLoader, as llm-foundry reads them:",
            python_line(
                "from streaming import StreamingDataset as D",
                f"print(D(local={quoted(done.folder + '/train')}, batch_size=1)[0])",
            ),
        ]

    def stored_shards(self, folder: Path, *, known: Layout | None) -> list[StoredShard]:
        return _stored_mds(folder)


def _block(layout: Layout) -> int:
    assert layout.block_size is not None
    return layout.block_size


def _config(layout: Layout, tokens: int) -> dict[str, Any]:
    dtype = f"uint{8 * layout.token_bytes}"
    whole = not tokens % _block(layout)
    return {
        "column_encodings": [f"ndarray:{dtype}:{layout.block_size}" if whole else f"ndarray:{dtype}"],
        "column_names": [_COLUMN],
        "column_sizes": [_block(layout) * layout.token_bytes if whole else None],
        "compression": None,
        "format": "mds",
        "hashes": [],
        "size_limit": _SIZE_LIMIT,
        "version": 2,
    }


def _config_text(layout: Layout, tokens: int) -> bytes:
    return json.dumps(_config(layout, tokens), sort_keys=True).encode()


def _shape(tokens: int) -> bytes:
    """One dimension, in the narrowest unsigned integer."""
    kind = 0 if tokens < 1 << 8 else 1 if tokens < 1 << 16 else 2
    return struct.pack("<B" + "BHI"[kind], 1 << 2 | kind, tokens)


def _sample_bytes(layout: Layout, tokens: int, end: int) -> int:
    """Bytes of the samples of the first `end` tokens, which end a block."""
    block = _block(layout)
    size = end * layout.token_bytes
    if tokens % block:
        whole, tail = divmod(end, block)
        size += whole * (4 + len(_shape(block))) + (4 + len(_shape(tail)) if tail else 0)
    return size


def _entry(layout: Layout, shard: FinishedShard) -> dict[str, Any]:
    samples = -(-shard.tokens // _block(layout))
    head = 4 + 4 * (samples + 1) + len(_config_text(layout, shard.tokens))
    size = head + _sample_bytes(layout, shard.tokens, shard.tokens)
    return _config(layout, shard.tokens) | {
        "raw_data": {"basename": shard.path.rpartition("/")[2], "bytes": size, "hashes": {}},
        "samples": samples,
        "zip_data": None,
    }


def _stored_mds(folder: Path) -> list[StoredShard]:
    """The shards of a folder, or of one for each split. Raises: BadInput for what is not tokens alone."""
    shards: list[StoredShard] = []
    for parent, split in split_folders(folder):
        file = parent / "index.json"
        index = json.loads(file.read_bytes()) if file.is_file() else {}
        shards += [_stored(parent, split, entry) for entry in index.get("shards", ())]
    return shards


def _stored(folder: Path, split: str, entry: dict[str, Any]) -> RawShard:
    path, samples = folder / entry["raw_data"]["basename"], entry["samples"]
    kind, _, shape = entry["column_encodings"][0].removeprefix("ndarray:").partition(":")
    if entry["format"] != "mds" or entry["zip_data"] or len(entry["column_names"]) != 1 or kind not in _WIDTHS:
        raise unreadable(path, ": not one column of tokens without compression", "see its index.json")
    dtype = _WIDTHS[kind]
    extents = _fixed(path, samples) if shape else _variable(path, samples)
    return RawShard(
        path=path, split=split, dtype=dtype, extents=tuple((at, size // int(dtype[-1])) for at, size in extents)
    )


def _fixed(path: Path, samples: int) -> list[tuple[int, int]]:
    offsets = _offsets(path, samples)
    return [(offsets[0], offsets[-1] - offsets[0])]


def _variable(path: Path, samples: int) -> list[tuple[int, int]]:
    extents = []
    offsets = _offsets(path, samples)
    with open_regular(path) as file:
        for start in offsets[:-1]:
            file.seek(start)
            size, shape = int.from_bytes(file.read(4), "little"), file.read(1)[0]
            before = 1 + (shape >> 2) * (1 << shape % 4)
            extents.append((start + 4 + before, size - before))
    return extents


def _offsets(path: Path, samples: int) -> list[int]:
    import numpy as np

    offsets = np.fromfile(path, "<u4", samples + 1, offset=4).tolist() if path.is_file() else []
    if len(offsets) != samples + 1 or path.stat().st_size != offsets[-1]:
        raise unreadable(path, " is gone, or not as long as index.json says")
    return [int(offset) for offset in offsets]
