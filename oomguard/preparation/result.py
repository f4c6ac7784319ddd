"""The result of `prepare`: of a run that has just ended, and of one that an earlier run made."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from oomguard.preparation.model import Shard, ShardSet
from oomguard.preparation.preconditions import divides_nothing
from oomguard.preparation.writing.formats.base import FinishedSet, FinishedShard
from oomguard.preparation.writing.token_sink import Totals

if TYPE_CHECKING:
    from oomguard.preparation.engines.progress import PipelineState
    from oomguard.preparation.job import Job
    from oomguard.preparation.writing.manifest import Progress
    from oomguard.supervision.own_budget import RunBudget


class Ended(Protocol):
    """What a sink has at its end."""

    @property
    def totals(self) -> Totals:
        """All that was taken."""
        ...

    @property
    def shards(self) -> list[dict[str, Any]]:
        """As the manifest has them."""
        ...

    @property
    def all_files(self) -> list[dict[str, Any]]:
        """What was made beside them."""
        ...

    @property
    def bad_files(self) -> list[dict[str, Any]]:
        """What was passed over."""
        ...


def shard_set(
    job: Job, budget: RunBudget, sink: Ended, state: PipelineState, seconds: float, progress: Progress
) -> ShardSet:
    """The result of a run that has just ended; `progress` is what earlier ones had done of it."""
    totals, before = sink.totals, Totals.before(progress)
    done = _finished_set(job, sink.shards, totals.documents)
    notes = [
        *(note for note in job.notes if note not in job.expectations),
        *state.notes,
        *job.resolved.output.notes(done),
    ]
    notes += divides_nothing(job, totals.documents)
    if before.input_bytes:
        notes.append(f"{before.input_bytes:,} bytes of it were done by an earlier run")
    if progress.damaged_line is not None:
        notes.append(
            f"the manifest was damaged in line {progress.damaged_line}: the work after the last checkpoint before "
            "that line was done again"
        )
    return ShardSet(
        tokens=totals.tokens,
        documents=totals.documents,
        input_bytes=totals.input_bytes,
        shards=tuple(Shard.of(shard) for shard in sink.shards),
        files=tuple(sink.all_files),
        encoding=job.resolved.encoding_name,
        engine="core" if job.needs.native else job.resolved.spec.reference,
        reference=job.resolved.spec.reference,
        format=job.options.format,
        token_bytes=job.resolved.layout.token_bytes,
        wall_seconds=round(seconds, 3),
        bytes_per_second=round((totals.input_bytes - before.input_bytes) / seconds) if seconds else 0,
        budget=budget.limit,
        peak_unreclaimable=state.peak,
        peak_rss=state.largest_rss,
        enforced_by=budget.enforced_by,
        verified_documents=min(totals.verified_documents, totals.documents),
        verified_bytes=totals.verified_bytes,
        repaired_bytes=totals.repaired_bytes,
        left_out=totals.left_out,
        bad_files=tuple(sink.bad_files),
        restarted_workers=state.restarts,
        folder=str(job.options.out.absolute()),
        next_lines=tuple(job.resolved.output.next_lines(done)),
        notes=tuple(notes),
        budget_notes=budget.notes,
        verify=job.options.verify,
        shuffle=job.options.shuffle,
    )


def _finished_set(job: Job, shards: list[dict[str, Any]], documents: int) -> FinishedSet:
    spec = job.resolved.spec
    return FinishedSet(
        folder=str(job.options.out.absolute()),
        shards=tuple(FinishedShard.of(shard) for shard in shards),
        layout=job.resolved.layout,
        vocabulary_size=spec.vocabulary_size,
        eot=spec.eot,
        documents=documents,
        is_divisible=not job.resolved.separator and any(source.divisible_text for source in job.sources),
        is_undivided=not job.resolved.separator
        and any(source.kind == "text" and not source.divisible_text for source in job.sources),
    )


def finished(job: Job, result: dict[str, Any]) -> ShardSet:
    """Show again what an earlier run of the same command made."""
    fields = {key: value for key, value in result.items() if key != "schema"}
    done = _finished_set(job, result["shards"], result["documents"])
    next_lines = job.resolved.output.next_lines(done)  # the folder may have moved
    fields |= {"files": tuple(result.get("files", ())), "next_lines": tuple(next_lines)}
    fields |= {"bad_files": tuple(result.get("bad_files", ()))}
    fields |= {"shards": tuple(Shard.of(shard) for shard in result["shards"]), "notes": tuple(result["notes"])} | {
        "budget_notes": tuple(result["budget_notes"])
    }
    shards = ShardSet(**fields)
    return replace(shards, already_done=True, folder=str(job.options.out.absolute()))
