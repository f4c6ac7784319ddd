"""The tokens of stored shards as pieces for the writer: checked, of the right width, with the ends of documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from oomguard.errors import BadInput
from oomguard.preparation.writing.formats.base import FinishedSet, FinishedShard
from oomguard.preparation.writing.token_sink import EncodedPiece, Totals
from oomguard.text import printable, shell_word

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from oomguard.preparation.stored_set import StoredSet
    from oomguard.preparation.writing.formats.base import Layout, OutputFormat
    from oomguard.preparation.writing.formats.stored import StoredShard

_SIGNED = ("megatron", "litdata")  # whose four bytes are int32


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionSource:
    """What is read, and how ends of documents are found: see conversion_rules.Ends."""

    shards: tuple[StoredShard, ...]
    ends: str
    eot: int | None
    output: OutputFormat
    layout: Layout

    @property
    def ends_known(self) -> bool:
        """Whether documents can be counted."""
        return self.ends in ("after", "before") or all(shard.has_ends for shard in self.shards)

    def pieces(self, position: dict[str, int]) -> Iterator[EncodedPiece]:
        """All pieces from a position on, which an earlier piece carried.

        Raises: BadInput for an id that the new format cannot hold, or a document without its end-of-text token.
        """
        number = position.get("shard", 0)
        skip = position.get("piece", 0)
        for at, shard in enumerate(self.shards[number:], number):
            first = at == 0 or self.shards[at - 1].split != shard.split
            for count, (values, ends) in enumerate(shard.pieces(), 1):
                if count > skip:
                    yield self._piece(shard, values, ends, begins=first and count == 1, at=(at, count))
            skip = 0

    def _piece(self, shard: StoredShard, values: Any, ends: Any, *, begins: bool, at: tuple[int, int]) -> EncodedPiece:
        import numpy as np

        self._check_ids(shard, values)
        documents = len(ends)
        if self.ends == "checked":
            self._check_ends(shard, values, ends)
        elif self.ends in ("after", "before"):
            found = np.flatnonzero(values == self.eot)
            documents = len(found)
            ends = found + 1 if self.ends == "after" else found[int(begins and documents > 0 and found[0] == 0) :]
        elif self.ends != "stored":
            ends = ends[:0]
        own = np.ascontiguousarray(ends, np.int64)
        split: Literal["train", "val"] = "val" if shard.split == "val" else "train"
        return EncodedPiece(
            tokens=memoryview(np.ascontiguousarray(values, f"<u{self.layout.token_bytes}").tobytes()),
            ends=memoryview(own.tobytes()).cast("q"),
            split=split,
            count=Totals(tokens=len(values), documents=documents),
            position={"shard": at[0], "piece": at[1]},
        )

    def _check_ids(self, shard: StoredShard, values: Any) -> None:
        width = self.layout.token_bytes
        most = 2**31 if width == 4 and self.output.name in _SIGNED else 1 << 8 * width
        if len(values) and not (int(values.min()) >= 0 and int(values.max()) < most):
            worst = int(values.min()) if int(values.min()) < 0 else int(values.max())
            raise BadInput(
                f"{printable(str(shard.path))}: id {worst:,} does not fit in {width} bytes of --format "
                f"{self.output.name}",
                do=f"oomguard inspect {shell_word(str(shard.path.parent))}",
            )

    def _check_ends(self, shard: StoredShard, values: Any, ends: Any) -> None:
        """Each document ends with the token that is to stand for its end, and no other place has it."""
        import numpy as np

        if not np.array_equal(np.flatnonzero(values == self.eot) + 1, ends):
            raise BadInput(
                f"{printable(str(shard.path))}: not every document ends with id {self.eot}, or others hold it, "
                "so it cannot show where documents end",
                do="--lossy instead of --eot-token, to do without document ends",
            )

    def finished_set(self, out: Path, shards: list[dict[str, Any]], spec: Any) -> FinishedSet:
        """For notes and the next command."""
        return FinishedSet(
            folder=str(out.absolute()),
            shards=tuple(FinishedShard.of(shard) for shard in shards),
            layout=self.layout,
            vocabulary_size=spec.vocabulary_size if spec else 1 << 8 * self.layout.token_bytes - 1,
            eot=self.eot or 0,
            is_converted=True,
        )


def extras_of(found: StoredSet) -> list[str]:
    """What stands beside the tokens of shards that others wrote, and no other format has."""
    if found.progress is not None:
        return []
    name, folder = found.output.name, found.folder
    if name == "olmo":
        return ["id, src and loc of the documents (.csv.gz)"]
    if name == "datatrove" and any(folder.rglob("*.ds.loss")):
        return ["the loss masks (.ds.loss)"]
    return []
