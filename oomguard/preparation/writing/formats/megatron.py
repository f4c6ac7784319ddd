"""Megatron's .bin and .idx: the tokens, and an index of sequences and documents.

Source: megatron/core/datasets/indexed_dataset.py, _IndexWriter and DType. A document is one sequence, as in
tools/preprocess_data.py without --split-sentences.
"""

from __future__ import annotations

import re
import struct
from array import array
from typing import TYPE_CHECKING

from oomguard.errors import BadInput
from oomguard.kernel.plain_files import open_regular
from oomguard.preparation.writing.formats.base import OutputFormat, again, no_train_file
from oomguard.preparation.writing.formats.stored import RawShard, unreadable
from oomguard.text import shell_word

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from oomguard.preparation.writing.formats.base import FinishedSet, Layout, OpenShard
    from oomguard.preparation.writing.formats.stored import Ends, StoredShard

_MAGIC = b"MMIDIDX\x00\x00"
_VERSION = 1
_HEAD = struct.Struct("<9sQBQQ")  # magic, version, type of the tokens, sequences, documents + 1
_CODES = {2: 8, 4: 4}  # by bytes a token: uint16, int32
_DTYPES = {1: "|u1", 2: "|i1", 3: "<i2", 4: "<i4", 5: "<i8", 8: "<u2"}
_UINT16_BELOW = 65_500  # DType.optimal_dtype()
_MOST_TOKENS = 2**31 - 1  # a sequence's length is an int32
_STRETCH = 1 << 16


class Megatron(OutputFormat):
    """One pair a split."""

    name = "megatron"
    help = ".bin and .idx for Megatron-LM, NeMo, GPT-NeoX"
    owned = re.compile(r"(?:train|val)_text_document\.(?:bin|idx)")
    one_file = True
    keeps_documents = True

    def token_bytes(self, vocabulary_size: int) -> int:
        return 2 if vocabulary_size < _UINT16_BELOW else 4

    def most_tokens(self, token_bytes: int) -> int:
        return _MOST_TOKENS

    def file_name(self, layout: Layout, split: str, index: int) -> str:
        return f"{split}_text_document.bin"

    def index_files(self, layout: Layout, shard: OpenShard) -> Iterator[tuple[str, Iterator[bytes]]]:
        yield f"{shard.split}_text_document.idx", _index(shard, layout.token_bytes)

    def notes(self, done: FinishedSet) -> list[str]:
        return [] if done.tokens("train") else [no_train_file(done, "train_text_document.bin")]

    def next_lines(self, done: FinishedSet) -> list[str]:
        if not done.tokens("train"):
            return again(done, "--val-fraction 0")
        folder = shell_word(done.folder)
        data = f"--train-data-path {folder}/train_text_document"
        if done.tokens("val"):
            data += f" --valid-data-path {folder}/val_text_document"
        return [
            "next: in a Megatron-LM checkout, with the flags of the model:",
            f"  torchrun pretrain_gpt.py {data} --tokenizer-type NullTokenizer --vocab-size {done.vocabulary_size - 1}",
        ]

    def stored_shards(self, folder: Path, *, known: Layout | None) -> list[StoredShard]:
        found = [(path, "val" if "val" in path.name else "train") for path in sorted(folder.glob("*.idx"))]
        return [_stored(path, split) for path, split in sorted(found, key=lambda item: item[1])]


def _index(shard: OpenShard, token_bytes: int) -> Iterator[bytes]:
    """Lengths, byte pointers and documents, one after another: three passes over the ends, and no list of them."""
    yield _HEAD.pack(_MAGIC, _VERSION, _CODES[token_bytes], shard.documents, shard.documents + 1)
    for starts, ends in _documents(shard):
        lengths = [end - start for start, end in zip(starts, ends, strict=True)]
        if max(lengths, default=0) > _MOST_TOKENS:
            raise BadInput(
                f"a document of {max(lengths):,} tokens: Megatron's index holds lengths up to {_MOST_TOKENS:,}",
                do="--separator TEXT, which divides it, or --format nanogpt",
            )
        yield array("i", lengths).tobytes()
    for starts, _ in _documents(shard):
        yield array("q", [start * token_bytes for start in starts]).tobytes()
    for first in range(0, shard.documents + 1, _STRETCH):
        yield array("q", range(first, min(first + _STRETCH, shard.documents + 1))).tobytes()


def _documents(shard: OpenShard) -> Iterator[tuple[list[int], list[int]]]:
    before = 0
    for stretch in shard.ends():
        ends = list(stretch)
        yield [before, *ends[:-1]], ends
        before = ends[-1]


def _stored(path: Path, split: str) -> RawShard:
    import numpy as np

    data = path.with_suffix(".bin")
    with open_regular(path) as file:
        head = file.read(_HEAD.size)
    if len(head) < _HEAD.size or not head.startswith(_MAGIC):
        raise unreadable(path, " is not a Megatron index", "file FILE")
    _, _, code, sequences, marks = _HEAD.unpack(head)
    if code not in _DTYPES or path.stat().st_size < _HEAD.size + 12 * sequences + 8 * marks or not data.is_file():
        raise unreadable(
            path, " is cut off, or not of tokens, or without its .bin", f"ls -l FILE {shell_word(str(data))}"
        )
    dtype = np.dtype(_DTYPES[code])

    def ends() -> Iterator[Ends]:
        lengths = np.memmap(path, "<i4", "r", _HEAD.size, (sequences,)) if sequences else np.empty(0, "<i4")
        at = _HEAD.size + 12 * sequences
        documents = np.memmap(path, "<i8", "r", at, (marks,))
        total = 0
        for first in range(0, marks - 1, _STRETCH):
            known = np.asarray(documents[first : first + _STRETCH + 1])
            sums = np.cumsum(lengths[known[0] : known[-1]], dtype=np.int64) + total
            # An empty document may have no sequence: then it ends where the one before it does.
            stretch = np.concatenate([[total], sums])[known[1:] - known[0]]
            yield stretch
            total = int(stretch[-1])

    tokens = data.stat().st_size // dtype.itemsize
    _require_in_order(path, dtype.itemsize, sequences, tokens)
    return RawShard(path=data, split=split, dtype=dtype.str, extents=((0, tokens),), ends=ends)


def _require_in_order(path: Path, width: int, sequences: int, tokens: int) -> None:
    """Sequences lie one after another in all that Megatron's builder writes. Raises: BadInput."""
    import numpy as np

    at = 0
    for first in range(0, sequences, _STRETCH):
        count = min(_STRETCH, sequences - first)
        lengths = np.fromfile(path, "<i4", count, offset=_HEAD.size + 4 * first).astype(np.int64)
        pointers = np.fromfile(path, "<i8", count, offset=_HEAD.size + 4 * sequences + 8 * first)
        starts = at + np.concatenate([[0], np.cumsum(lengths)])
        if not np.array_equal(pointers, starts[:-1] * width):
            raise BadInput(f"{path}: its sequences are not in order", do="build it again with Megatron's own builder")
        at = int(starts[-1])
    if at != tokens:
        raise unreadable(path, f" lists {at:,} tokens, and its .bin holds {tokens:,}")
