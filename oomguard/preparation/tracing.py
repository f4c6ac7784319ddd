"""`oomguard inspect --token`, `--document`: from a token in the shards back to the document and its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput, NothingFound, edge
from oomguard.preparation.encoding.encodings import find_rank_file, load_tiktoken
from oomguard.preparation.inspection import Trace, TracedRow
from oomguard.preparation.stored_set import open_set
from oomguard.preparation.writing.provenance_file import SPLITS, read_rows
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from oomguard.preparation.stored_set import StoredSet
    from oomguard.preparation.writing.formats.stored import StoredShard

_SHOWN_TOKENS = 200
_BY_ROW = ("parquet", "arrow")


@edge
def trace_token(folder: Path, token: str, *, split: str | None = None) -> Trace:
    """Say which document a token belongs to: "N" counts through the shards of a split (train), "FILE:N" in one shard.

    Raises: NothingFound where no --provenance was written; BadInput for a token that is not there.
    """
    found = open_set(folder)
    files = _files(found)
    number, split = _place(found, token, split)
    for rows, names in _rows(files):
        mine = rows[(rows["split"] == SPLITS.index(split)) & (rows["first"] <= number)]
        mine = mine[mine["first"] + mine["tokens"] > number]
        if len(mine):
            return _trace(found, [_row(found, mine[0], names)], number)
    tokens = sum(shard.tokens for shard in _shards(found, split))
    raise BadInput(
        f"{printable(str(folder))}: no document has token {number:,} of {split}, which has {tokens:,}",
        do=f"--token 0 to {max(tokens - 1, 0)}",
    )


@edge
def trace_document(folder: Path, number: int) -> Trace:
    """Say where document `number` of a run came from, and where its tokens are.

    Raises: NothingFound where no --provenance was written; BadInput for a document that is not there.
    """
    found = open_set(folder)
    traced, last = [], -1
    for rows, names in _rows(_files(found)):
        last = int(rows["document"][-1])
        traced += [_row(found, row, names) for row in rows[rows["document"] == number]]
        if last > number:
            break
    if not traced:
        raise BadInput(
            f"{printable(str(folder))}: no document {number:,}; there are {last + 1:,}", do=f"--document 0 to {last}"
        )
    return _trace(found, traced, None)


def _files(found: StoredSet) -> list[Path]:
    files = sorted(found.folder.glob("provenance-*.parquet"))
    if not files:
        raise NothingFound(
            f"{printable(str(found.folder))} does not say where its documents came from",
            do="oomguard prepare ... --provenance writes that next to the shards",
        )
    return files


def _rows(files: list[Path]) -> Iterator[tuple[Any, list[str]]]:
    for file in files:
        yield from read_rows(file)


def _place(found: StoredSet, token: str, split: str | None) -> tuple[int, str]:
    """The number of a token in its split, and that."""
    name, _, digits = token.rpartition(":")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        raise BadInput(f'--token "{printable(token)}" is not a number', do="--token 12345, or --token train.bin:12345")
    if not name:
        return int(digits), split or "train"
    before = {"train": 0, "val": 0}
    for shard in found.shards:
        if shard.path.relative_to(found.folder).as_posix() == name or shard.path.name == name:
            if int(digits) >= shard.tokens:
                raise BadInput(
                    f"{printable(name)} has {shard.tokens:,} tokens",
                    do=f"--token {name}:0 to {max(shard.tokens - 1, 0)}",
                )
            return before[shard.split] + int(digits), shard.split
        before[shard.split] += shard.tokens
    names = ", ".join(printable(shard.path.name) for shard in found.shards[:6])
    raise BadInput(f"{printable(name)} is not a shard of {printable(str(found.folder))}", do=f"one of: {names}")


def _row(found: StoredSet, row: Any, names: list[str]) -> TracedRow:
    source, split, first = names[int(row["source"])], SPLITS[int(row["split"])], int(row["first"])
    at = _shard_of(found, split, first)
    return TracedRow(
        document=int(row["document"]),
        source=source,
        offset=int(row["origin"]),
        unit="row" if _kind(found, source) in _BY_ROW else "byte",
        split=split,
        first_token=first,
        tokens=int(row["tokens"]),
        shard=None if at is None else at[0].path.relative_to(found.folder).as_posix(),
        token_in_shard=None if at is None else at[1],
    )


def _kind(found: StoredSet, source: str) -> str | None:
    inputs = found.progress.inputs if found.progress is not None else []
    return next((item.get("kind") for item in inputs if item.get("path") == source), None)


def _shards(found: StoredSet, split: str) -> list[StoredShard]:
    return [shard for shard in found.shards if shard.split == split]


def _shard_of(found: StoredSet, split: str, token: int) -> tuple[StoredShard, int] | None:
    """The shard that a token of a split is in, and its number there; None: it is in none."""
    for shard in _shards(found, split):
        if token < shard.tokens:
            return shard, token
        token -= shard.tokens
    return None


def _trace(found: StoredSet, rows: list[TracedRow], number: int | None) -> Trace:
    first, split = rows[0].first_token, rows[0].split
    ids = list(_ids(found, split, first, min(rows[0].tokens, _SHOWN_TOKENS)))
    at = None if number is None else _shard_of(found, split, number)
    own = list(_ids(found, split, number, 1)) if number is not None else []
    return Trace(
        folder=str(found.folder.absolute()),
        token=number,
        id=own[0] if own else None,
        shard=None if at is None else at[0].path.relative_to(found.folder).as_posix(),
        token_in_shard=None if at is None else at[1],
        rows=tuple(rows),
        text=_text(found, ids),
        token_text=_text(found, own) if own else None,
    )


def _ids(found: StoredSet, split: str, first: int, count: int) -> Iterator[int]:
    """Some tokens of a split."""
    for shard in _shards(found, split):
        if first >= shard.tokens:
            first -= shard.tokens
            continue
        for values, _ in shard.pieces():
            if count <= 0:
                return
            own = values[first : first + count].tolist()
            yield from own
            count -= len(own)
            first = max(0, first - len(values))
        first = 0


def _text(found: StoredSet, ids: list[int]) -> str | None:
    """What they say; None where the tokenizer is not known."""
    if found.spec is None:
        return None
    spec = found.spec
    known = [token for token in ids if 0 <= token < spec.vocabulary_size and token != spec.eot]
    return load_tiktoken(spec, find_rank_file(spec)).decode_bytes(known).decode(errors="replace")
