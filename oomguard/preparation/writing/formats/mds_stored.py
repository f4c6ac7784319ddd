"""MDS shards of one column of integers, also those that others wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.preparation.writing.formats.stored import RawShard, split_folders

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.preparation.writing.formats.stored import StoredShard

_WIDTHS = {"uint16": "<u2", "uint32": "<u4", "int32": "<i4", "int64": "<i8"}


def stored_mds(folder: Path) -> list[StoredShard]:
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
        raise BadInput(f"{path}: not one column of tokens without compression", do=f"see {folder / 'index.json'}")
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
    with path.open("rb") as file:
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
        raise BadInput(f"{path} is gone, or not as long as index.json says", do=f"ls -l {path}")
    return [int(offset) for offset in offsets]
