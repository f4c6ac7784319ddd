"""The parts of a job, laid out as the shards that `prepare` would have written on one machine.

They go through the writer of `prepare`, in the order of the input: so the bytes are the same, and a run that was
stopped resumes from its last checkpoint.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from oomguard.errors import NothingFound
from oomguard.preparation.api import open_job
from oomguard.preparation.cluster.parts import open_part
from oomguard.preparation.conversion_sink import open_sink
from oomguard.preparation.encoding.encodings import find_rank_file
from oomguard.preparation.engines.meter import MemoryMeter
from oomguard.preparation.engines.pipeline import PipelineState
from oomguard.preparation.execution import finished, shard_set, totals_before
from oomguard.preparation.preconditions import identity
from oomguard.preparation.reading.sources import Found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from oomguard.preparation.cluster.job_file import JobFile
    from oomguard.preparation.model import ShardSet
    from oomguard.preparation.writing.token_sink import EncodedPiece

_CHECKPOINT_SECONDS = 10.0
_LISTED = 5


def finish(job_file: JobFile, *, max_rss: int | None = None, keep_parts: bool = False) -> ShardSet:
    """Write the shards; parts are removed when all is done, unless `keep_parts`.

    Raises: NothingFound if units are missing, with their numbers; OomguardError as `prepare` does.
    """
    job_file.require_same_folder()
    resolved = job_file.resolve()
    options = job_file.options
    with ExitStack() as stack:
        sources = list(job_file.sources)
        found = Found(sources=sources, notes=job_file.notes)
        job, budget = open_job(stack, found, options, resolved, find_rank_file(resolved.spec), max_rss)
        header = {**identity(job), "job": job_file.sha256}
        sink = open_sink(
            stack, options.out, resolved.output, resolved.layout, header, restart=False,
            checkpoint_seconds=_CHECKPOINT_SECONDS, val_fraction=resolved.val_fraction if job.by_document else None,
            first_is_val=resolved.val_fraction is None, encoded_bytes=resolved.spec.token_bytes,
        )  # fmt: skip
        if sink.result is not None:
            result = finished(job, sink.result)
        else:
            _require_all(job_file)
            began = time.monotonic()
            meter = MemoryMeter(budget=budget.limit, measure=budget.measure, clock=time.monotonic)
            before = totals_before(sink.progress)
            sink.write(_Parts(job_file, resolved.spec.token_bytes, meter.look_now_and_then))
            state = PipelineState(
                totals=sink.sink.totals, bytes_read=0, workers=0, memory=meter.now, peak=max(meter.peak, meter.look()),
                restarts=0, largest_rss=0,
            )  # fmt: skip
            result = shard_set(job, budget, sink.sink, state, time.monotonic() - began, before)
            result = replace(result, bytes_per_second=0)
            sink.manifest.append(result=result.to_json())
    job_file.note_finished()
    if not keep_parts:
        for number in range(len(job_file.units)):
            job_file.part_file(number).unlink(missing_ok=True)
    return result


def _require_all(job_file: JobFile) -> None:
    missing = job_file.missing()
    if missing:
        shown = ", ".join(map(str, missing[:_LISTED])) + (" ..." if len(missing) > _LISTED else "")
        raise NothingFound(
            f"{len(missing):,} of {len(job_file.units):,} units are not done: {shown}",
            do=f"oomguard work JOB --unit {missing[0]}; without --unit it does all that are left",
        )


@dataclass(frozen=True, slots=True)
class _Parts:
    job_file: JobFile
    token_bytes: int
    after_each: Callable[[], None]

    def pieces(self, position: dict[str, Any]) -> Iterator[EncodedPiece]:
        """All pieces from a position on; a part is checked as a whole before its first one is taken."""
        first = position.get("unit", 0)
        for number in range(first, len(self.job_file.units)):
            part = open_part(
                self.job_file.part_file(number), job=self.job_file.sha256, unit=number, token_bytes=self.token_bytes
            )
            at = position if number == first else {}
            for piece in part.pieces(number, segment=at.get("segment", 0), token=at.get("token", 0)):
                yield piece
                self.after_each()
