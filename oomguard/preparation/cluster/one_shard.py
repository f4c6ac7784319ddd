"""One shard of a job written, from the parts that it takes from."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from oomguard.kernel import safe_files
from oomguard.preparation.cluster.shard_table import pieces_between
from oomguard.preparation.writing.beside_files import write_split_files
from oomguard.preparation.writing.shard_writer import ShardPlan, SplitWriter
from oomguard.preparation.writing.token_sink import TokenSink, Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from oomguard.preparation.cluster.job_file import JobFile
    from oomguard.preparation.cluster.receipts import Receipts
    from oomguard.preparation.cluster.shard_table import PlannedShard
    from oomguard.preparation.job import Job


class _Nowhere:
    """Takes the tokens of the other split, which another shard holds; and what a manifest would be told."""

    def append(self, **line: Any) -> None:
        """Leave it: a shard has a receipt."""

    def write(self, tokens: memoryview, ends: Sequence[int] = (), number: int = 0) -> None:
        """Leave them."""

    def sync(self) -> dict[str, Any]:
        """Nothing to sync."""
        return {}

    def resume(self, position: dict[str, Any]) -> None:
        """Nothing to continue."""

    def restore(self, position: dict[str, Any], stored: Sequence[Any]) -> None:
        """Nothing to restore."""

    def finish(self) -> None:
        """Nothing to finish."""

    def forget_parts(self) -> None:
        """Nothing to forget."""

    def close(self) -> None:
        """Nothing to close."""


def write_shard(
    job_file: JobFile,
    job: Job,
    shard: PlannedShard,
    receipts: Receipts,
    state: Path,
    *,
    on_piece: Callable[[], None],
    require: Callable[[], None],
) -> None:
    """Write it, with its temporary files in `state`, and give its receipt.

    `on_piece` is called now and then; `require` before each step that another worker of the same shard would not bear.
    Raises: what these do; BadInput if a part is damaged, a name is taken, or the disk refuses.
    """
    resolved = job.resolved
    receipts.take_back(shard)
    named = itertools.count()
    made: list[dict[str, Any]] = []
    plan = ShardPlan(
        folder=job.options.out, state=state, format=resolved.output, layout=resolved.layout,
        first_is_val=resolved.val_fraction is None,
    )  # fmt: skip

    def on_naming(name: str, sha256: str) -> None:
        require()
        receipts.note(shard, next(named), name, sha256)

    writer = SplitWriter(
        plan,
        shard.split,
        first_index=shard.index,
        on_naming=on_naming,
        on_shard=lambda about, file: made.append({"shard": about, "file": file}),
    )
    sink = TokenSink(
        plan,
        _Nowhere(),
        val_fraction=resolved.val_fraction if job.by_document else None,
        checkpoint_seconds=math.inf,
        encoded_bytes=resolved.spec.token_bytes,
        new_writer=lambda split: writer if split == shard.split else _Nowhere(),
    )
    sink.totals = Totals(documents=shard.start.document)
    try:
        for piece in pieces_between(job_file, resolved.spec.token_bytes, shard.start, shard.stop):
            on_piece()
            sink.take(piece)
        writer.finish()
        writer.forget_parts()
    finally:
        sink.close()
    require()
    if job_file.is_in_store:
        for each in made:
            publish(job_file, job.options.out, each["shard"])
    receipts.give(shard, made)


def publish_split_files(
    job_file: JobFile, job: Job, shards: list[dict[str, Any]], state: Path, on_naming: Callable[[str, str], None]
) -> list[dict[str, str | int]]:
    """Make the files that speak of all shards of a split, and send them; gives them as the manifest has them."""
    out, resolved = job.options.out, job.resolved
    files = write_split_files(out, state, resolved.output, resolved.layout, shards, on_naming=on_naming)
    for file in files:
        publish(job_file, out, file)
    return files


def publish(job_file: JobFile, folder: Path, shard: dict[str, Any]) -> None:
    """Send the files of a shard to the bucket, and remove them here. Raises: BadInput if a name is taken."""
    for file in (*shard.get("index", ()), shard):
        (job_file.out / file["path"]).publish(folder / file["path"], file["sha256"])
        safe_files.unlink(folder / file["path"])
