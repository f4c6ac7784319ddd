"""litdata's chunks of tokens, for its TokensLoader (litgpt).

Source: litdata/streaming/writer.py _create_chunk(): number of items, their offsets from the file's start, items; and
item_loader.py TokensLoader, which reads `dim // block_size` blocks of each chunk and never asks where items end. So a
chunk is one item, and holds whole blocks.
"""

from __future__ import annotations

import json
import re
import struct
from typing import TYPE_CHECKING

from oomguard.errors import BadInput
from oomguard.preparation.writing.formats.base import OutputFormat, again, no_train_file, python_line, quoted, tail_note
from oomguard.preparation.writing.formats.stored import RawShard, split_folders, unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from oomguard.preparation.writing.formats.base import FinishedSet, FinishedShard, Layout
    from oomguard.preparation.writing.formats.stored import StoredShard

_HEADER_BYTES = 12
_FORMATS = {2: "no_header_numpy:5", 4: "no_header_tensor:16"}  # by bytes a token: uint16, torch.int
_DTYPES = {"no_header_numpy:5": "<u2", "no_header_tensor:16": "<i4", "no_header_tensor:17": "<i4"}
_SPEC = '[1, {"type": null, "context": null, "children_spec": []}]'  # of a bare array, by torch's pytree


class Litdata(OutputFormat):
    """A folder a split, of chunks."""

    name = "litdata"
    help = "chunks for litdata's TokensLoader, litgpt"
    owned = re.compile(r"(?:train|val)/(?:chunk-0-[0-9]+\.bin|index\.json)")
    shard_tokens = 1 << 25
    folders = True
    block_size = 2048
    takes_blocks = True

    def most_tokens(self, token_bytes: int) -> int:
        return (2**32 - 1 - _HEADER_BYTES) // token_bytes  # offsets are uint32

    def file_name(self, layout: Layout, split: str, index: int) -> str:
        return f"{split}/chunk-0-{index}.bin"

    def header(self, layout: Layout, tokens: int) -> bytes:
        return struct.pack("<3I", 1, _HEADER_BYTES, _HEADER_BYTES + tokens * layout.token_bytes)

    def split_files(self, layout: Layout, split: str, shards: Sequence[FinishedShard]) -> dict[str, bytes]:
        chunks = [
            {
                "chunk_bytes": _HEADER_BYTES + shard.tokens * layout.token_bytes,
                "chunk_size": 1,
                "dim": shard.tokens,
                "filename": shard.path.rpartition("/")[2],
            }
            for shard in shards
        ]
        config = {
            "chunk_bytes": _HEADER_BYTES + (layout.shard_tokens or 0) * layout.token_bytes,
            "chunk_size": None,
            "compression": None,
            "data_format": [_FORMATS[layout.token_bytes]],
            "data_spec": _SPEC,
            "encryption": None,
            "item_loader": "TokensLoader",
        }
        index = {"chunks": chunks, "config": config, "updated_at": "0"}  # a time would make other bytes each time
        return {f"{split}/index.json": json.dumps(index, sort_keys=True).encode()}

    def notes(self, done: FinishedSet) -> list[str]:
        if not done.tokens("train"):
            return [no_train_file(done, "train folder")]
        return tail_note(done, "are in the last chunk, and TokensLoader does not read them")

    def next_lines(self, done: FinishedSet) -> list[str]:
        if not done.tokens("train"):
            return again(done, "--val-fraction 0")
        folder, size = quoted(done.folder + "/train"), done.layout.block_size
        return [
            "next: blocks for a DataLoader, as litgpt's LitData module reads them:",
            python_line(
                "from litdata import StreamingDataset as D, TokensLoader as T",
                f"print(D({folder}, item_loader=T(block_size={size}))[0])",
            ),
        ]

    def stored_shards(self, folder: Path, *, known: Layout | None) -> list[StoredShard]:
        return [shard for parent, split in split_folders(folder) for shard in _stored(parent, split)]


def _stored(folder: Path, split: str) -> list[StoredShard]:
    file = folder / "index.json"
    index = json.loads(file.read_bytes()) if file.is_file() else {}
    if "chunks" not in index:
        return []
    config = index["config"]
    dtype = _DTYPES.get((config.get("data_format") or [""])[0])
    if config.get("item_loader") != "TokensLoader" or config.get("compression") or dtype is None:
        raise BadInput(f"{file}: not chunks of bare tokens without compression", do="run litdata.optimize() again")
    shards: list[StoredShard] = []
    for chunk in index["chunks"]:
        path, header = folder / chunk["filename"], 4 * (chunk["chunk_size"] + 2)
        if not path.is_file() or path.stat().st_size != header + chunk["dim"] * int(dtype[-1]):
            raise unreadable(path, " is not as long as index.json says")
        shards.append(RawShard(path=path, split=split, dtype=dtype, extents=((header, chunk["dim"]),)))
    return shards
