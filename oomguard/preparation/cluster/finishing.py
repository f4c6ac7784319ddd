"""The parts of a job, laid out as the shards that `prepare` would have written on one machine.

A format with several shards is laid out shard by shard, by as many machines as one likes; then the manifest is told of
them. One whose split is a single file goes through the writer of `prepare`, in the order of the input. Both resume.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from oomguard.errors import NothingFound
from oomguard.kernel.process.signals import stop_on_signals
from oomguard.preparation.api import settle
from oomguard.preparation.cluster.parts import Place, open_part
from oomguard.preparation.cluster.shard_plan import share_of
from oomguard.preparation.cluster.shard_shares import (
    ShardWork,
    counts_of,
    first_indexes,
    remove_all,
    shard_table,
)
from oomguard.preparation.disk_room import free_bytes, require_room
from oomguard.preparation.laying_out import lay_out
from oomguard.preparation.preconditions import identity, require_free_names
from oomguard.preparation.writing.manifest import Manifest
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from oomguard.preparation.cluster.job_file import JobFile
    from oomguard.preparation.cluster.shard_plan import PlannedShard
    from oomguard.preparation.job import Job
    from oomguard.preparation.model import ShardSet
    from oomguard.preparation.writing.token_sink import EncodedPiece

_LISTED = 5


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

    Raises: NothingFound if units are missing, with their numbers; OomguardError as `prepare` does.
    """
    job_file.require_same_folder()
    _require_all(job_file)
    resolved = job_file.resolve()
    with ExitStack() as stack:
        sources = list(job_file.sources)
        job, budget = settle(stack, sources, job_file.options, resolved, max_rss, notes=job_file.notes)
        if resolved.layout.shard_tokens is not None and not job_file.is_finished:
            with stop_on_signals() as asked:
                _lay_out_all(job_file, job, asked, keep_parts=keep_parts)
        elif not job_file.is_finished:
            _require_room(job_file, job)
        parts = _Parts(job_file, resolved.spec.token_bytes)
        result = lay_out(job, budget, parts, stack, encoded_bytes=resolved.spec.token_bytes, made_of=job_file.sha256)
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
    _require_all(job_file)
    resolved = job_file.resolve()
    shown = printable(str(job_file.path or "job.json"))
    if resolved.layout.shard_tokens is None or job_file.is_finished:
        return ShardsLaidOut(part=part, of=of, shards=0, tokens=0, left=0, job=shown)
    with ExitStack() as stack:
        sources = list(job_file.sources)
        job, _ = settle(stack, sources, job_file.options, resolved, max_rss, notes=job_file.notes)
        asked = stack.enter_context(stop_on_signals())
        work = ShardWork(
            job_file=job_file, job=job, table=shard_table(job_file, job), asked=asked, keep_parts=keep_parts,
            after_each=after_each,
        )  # fmt: skip
        own = share_of(work.table.shards, part, of)
        work.write(own)
        left = sum(not work.is_done(shard) for shard in work.table.shards)
    return ShardsLaidOut(
        part=part, of=of, shards=len(own), tokens=sum(shard.tokens for shard in own), left=left, job=shown
    )


def _lay_out_all(job_file: JobFile, job: Job, asked: Callable[[], str | None], *, keep_parts: bool) -> None:
    """Write what shards are left, and tell the manifest of all, as if a run had come to its last checkpoint."""
    work = ShardWork(job_file=job_file, job=job, table=shard_table(job_file, job), asked=asked, keep_parts=keep_parts)
    resolved, out = job.resolved, job.options.out
    if not any(map(work.is_done, work.table.shards)):
        require_free_names(out, resolved.output, resolved.layout, ours=work.names() | _named(out))
    work.write(work.table.shards)
    told = work.receipts()
    manifest = Manifest(out)
    try:
        check = partial(_require_free, job, {each["shard"]["path"] for each in told} | work.names())
        progress = manifest.begin({**identity(job), "job": job_file.sha256}, restart=False, check=check)
        if progress.checkpoint is not None or progress.result is not None:
            return
        for each in told:
            manifest.append(naming=each["shard"]["path"], sha256=each["shard"]["sha256"])
            manifest.append(**each)
        behind = {split: 1 + max((s.index for s in work.table.shards if s.split == split), default=first - 1)
                  for split, first in first_indexes(job).items()}  # fmt: skip
        manifest.append(
            checkpoint={
                "totals": asdict(work.table.totals),
                "position": {"unit": len(job_file.units)},
                "open": {split: {"index": index, "tokens": 0} for split, index in behind.items()},
                "errors": job.options.errors,
                "read": [],
            }
        )
    finally:
        manifest.close()


def _named(out: Path) -> set[str]:
    return Manifest.peek(out / ".oomguard").names


def _require_free(job: Job, ours: set[str], progress: Any) -> None:
    require_free_names(job.options.out, job.resolved.output, job.resolved.layout, ours=ours | progress.names)


def _require_room(job_file: JobFile, job: Job) -> None:
    """The tokens are there twice until a split of one file is whole. Raises: BadInput if the disk cannot hold that."""
    width, out = job.resolved.layout.token_bytes, job.options.out
    counts = (counts_of(job_file, unit, job.resolved.spec.token_bytes) for unit in range(len(job_file.units)))
    tokens = sum(count.tokens for each in counts if each is not None for count in each)
    begun = sum(file.stat().st_size for file in (out / ".oomguard").glob("*.partial"))
    require_room(out, max(0, tokens * width - begun), free_bytes(out))


def _require_all(job_file: JobFile) -> None:
    missing = job_file.missing()
    if missing:
        shown = ", ".join(map(str, missing[:_LISTED])) + (" ..." if len(missing) > _LISTED else "")
        raise NothingFound(
            f"{len(missing):,} of {len(job_file.units):,} units are not done: {shown}",
            do=f"{job_file.command(missing[0])} (without --unit it does all that are left)",
        )


@dataclass(frozen=True, slots=True)
class _Parts:
    job_file: JobFile
    token_bytes: int

    def pieces(self, position: dict[str, Any]) -> Iterator[EncodedPiece]:
        """All pieces from a position on."""
        first = position.get("unit", 0)
        for number in range(first, len(self.job_file.units)):
            part = open_part(
                self.job_file.part_file(number), job=self.job_file.sha256, unit=number, token_bytes=self.token_bytes
            )
            at = position if number == first else {}
            yield from part.pieces(number, Place(at.get("segment", 0), at.get("token", 0), at.get("end", 0)))
