"""`oomguard inspect`: what a folder of shards holds, and whether it is what was written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oomguard.errors import edge
from oomguard.preparation.encoding.encodings import find_rank_file
from oomguard.preparation.inspection_model import InspectedShard, Inspection
from oomguard.preparation.stored_set import open_set
from oomguard.preparation.writing.shard_check import sha256_of

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.preparation.encoding.encodings import EncodingSpec
    from oomguard.preparation.stored_set import StoredSet
    from oomguard.preparation.writing.formats.stored import StoredShard

_SHOWN_TOKENS = 2000  # of the first document, at most


@edge
def inspect(folder: Path, *, encoding: str | None = None) -> Inspection:
    """Read all shards of a folder once, in stretches, and say what they are.

    `encoding` names the tokenizer where no manifest does; without either, ids are not judged and nothing is decoded.
    Raises: NothingFound if there are no shards; BadInput if one is damaged.
    """
    found = open_set(folder, encoding=encoding)
    first = _First(found)
    shards = tuple(_inspect_shard(found, shard, first) for shard in found.shards)
    return Inspection(
        folder=str(folder.absolute()),
        format=found.output.name,
        encoding=found.spec.name if found.spec else None,
        eot=found.eot,
        shards=shards,
        changed=_changed(found),
        has_manifest=found.progress is not None,
        first_document=first.text(),
        first_ids=tuple(first.ids[:16]),
    )


def _inspect_shard(found: StoredSet, shard: StoredShard, first: _First) -> InspectedShard:
    import numpy as np

    tokens = documents = out_of_range = eots = 0
    highest = -1
    for values, ends in shard.pieces():
        first.take(values, ends)
        tokens += len(values)
        documents += len(ends)
        if len(values):
            highest = max(highest, int(values.max()))
        if found.spec is not None:
            wrong = (values < 0) | (values >= found.spec.vocabulary_size)
            out_of_range += int(np.count_nonzero(wrong))
            eots += int(np.count_nonzero(values == found.spec.eot))
    by_token = found.spec is not None and found.eot in ("before", "after")
    return InspectedShard(
        path=shard.path.relative_to(found.folder).as_posix(),
        split=shard.split,
        dtype=np.dtype(shard.dtype).name,
        tokens=tokens,
        documents=documents if shard.has_ends else eots if by_token else None,
        highest_id=highest if tokens else None,
        out_of_range=out_of_range if found.spec is not None else None,
    )


def _changed(found: StoredSet) -> tuple[str, ...]:
    """The files that are not what the manifest says."""
    if found.progress is None:
        return ()
    result = found.progress.result or {}
    beside = [file for shard in found.progress.shards for file in shard.get("index", ())]
    told: list[dict[str, Any]] = [*found.progress.shards, *beside, *result.get("files", ())]
    return tuple(
        item["path"]
        for item in told
        if not (found.folder / item["path"]).is_file() or sha256_of(found.folder / item["path"]) != item["sha256"]
    )


@dataclass(slots=True)
class _First:
    """Collects the first document that is not empty, without its end-of-text, up to some thousands of tokens."""

    found: StoredSet
    is_whole: bool = False
    ids: list[int] = field(default_factory=list)

    def take(self, values: Any, ends: Any) -> None:
        """Take what belongs to it of the next stretch."""
        if self.is_whole:
            return
        own = values[:_SHOWN_TOKENS].tolist()
        eot = self.found.spec.eot if self.found.spec is not None else None
        stops = [int(end) for end in ends if end <= len(own)]
        if eot is not None and not self.found.has_ends:
            stops = [number for number, token in enumerate(own) if token == eot]
        start = 0
        for stop in [*stops, len(own)]:
            self.ids += [token for token in own[start:stop] if token != eot]
            start = stop
            if self.ids and stop in stops:
                self.is_whole = True
                return
        self.is_whole = len(self.ids) >= _SHOWN_TOKENS

    def text(self) -> str | None:
        """The document; None where the tokenizer is not known."""
        spec: EncodingSpec | None = self.found.spec
        if spec is None:
            return None
        from oomguard.preparation.encoding.encodings import load_tiktoken

        encoding = load_tiktoken(spec, find_rank_file(spec))
        known = [token for token in self.ids if 0 <= token < spec.vocabulary_size]
        return encoding.decode_bytes(known).decode(errors="replace")
