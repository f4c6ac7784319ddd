"""The parts of a job, laid out as the shards that `prepare` would have written on one machine.

A format with several shards is laid out shard by shard, by as many machines as one likes; then the manifest is told of
them. One whose split is a single file goes through the writer of `prepare`, in the order of the input. Both resume.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from oomguard.kernel.process import stop_on_signals
from oomguard.preparation.cluster.bucket_set import finish_in_bucket
from oomguard.preparation.cluster.folder_set import finish_in_folder
from oomguard.preparation.cluster.shard_shares import ShardWork, remove_all
from oomguard.preparation.cluster.shard_table import shard_table
from oomguard.preparation.settling import settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.preparation.cluster.job_file import JobFile
    from oomguard.preparation.cluster.shard_table import PlannedShard
    from oomguard.preparation.model import ShardSet


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardsLaidOut:
    """What one of several machines laid out."""

    part: int
    of: int
    shards: int
    tokens: int
    left: int  # shards that others have yet to write
    job: str

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {"schema": "oomguard.laid_out/1", **asdict(self)}

    def lines(self) -> list[str]:
        """For people."""
        done = f"{self.shards:,} shards, {self.tokens:,} tokens"
        return [
            f"part {self.part} of {self.of}: {done}; shards that others have yet to write: {self.left:,}",
            f"next, when all parts have ended: oomguard finish {self.job}",
        ]


def finish(job_file: JobFile, *, max_rss: int | None = None, keep_parts: bool = False) -> ShardSet:
    """Write the shards that nobody has written, and note all of them; parts go unless `keep_parts`.

    Raises: NothingFound if units are missing, with their numbers; InUse where another `finish` runs; OomguardError as
    `prepare` does.
    """
    job_file.require_same_folder()
    job_file.require_done()
    resolved = job_file.resolve()
    with ExitStack() as stack:
        options, sources = job_file.options_here(stack), list(job_file.sources)
        job, budget = settle(
            stack, sources, options, resolved, max_rss, notes=job_file.notes, sends=job_file.is_in_store
        )
        finish_there = finish_in_bucket if job_file.is_in_store else finish_in_folder
        result = finish_there(stack, job_file, job, budget, keep_parts=keep_parts)
        job_file.note_finished()
        if not keep_parts:
            remove_all(job_file)
    return result


def finish_share(
    job_file: JobFile,
    part: int,
    of: int,
    *,
    max_rss: int | None = None,
    keep_parts: bool = False,
    after_each: Callable[[PlannedShard], None] = lambda _: None,
) -> ShardsLaidOut:
    """Write the shards of machine `part` (from 0) of several, at the same time as the others.

    A split that is one file is left to `finish`. Raises: as `finish`; Stopped on a signal.
    """
    job_file.require_same_folder()
    job_file.require_done()
    resolved = job_file.resolve()
    shown = job_file.shown
    is_one_file = resolved.layout.shard_tokens is None and not job_file.is_in_store
    if is_one_file or job_file.is_finished:
        return ShardsLaidOut(part=part, of=of, shards=0, tokens=0, left=0, job=shown)
    with ExitStack() as stack:
        options, sources = job_file.options_here(stack), list(job_file.sources)
        job, _ = settle(stack, sources, options, resolved, max_rss, notes=job_file.notes, sends=job_file.is_in_store)
        asked = stack.enter_context(stop_on_signals())
        work = ShardWork(
            job_file=job_file, job=job, table=shard_table(job_file, job), asked=asked, keep_parts=keep_parts,
            after_each=after_each,
        )  # fmt: skip
        own = work.table.share(part, of)
        work.write(own)
        left = sum(not work.is_done(shard) for shard in work.table.shards)
    return ShardsLaidOut(
        part=part, of=of, shards=len(own), tokens=sum(shard.tokens for shard in own), left=left, job=shown
    )
