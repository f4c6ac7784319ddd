"""A run from its manifest to its result, once its budget is open and its workers start."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from oomguard.errors import Changed, OomguardError, Stopped
from oomguard.kernel.process.signals import stop_on_signals
from oomguard.preparation.conversion_sink import ConversionSink
from oomguard.preparation.engines.pipeline import MemoryMeter, Pipeline, PipelineState
from oomguard.preparation.model import Shard, ShardSet
from oomguard.preparation.preconditions import (
    divides_nothing,
    full_path,
    identity,
    require_comparable,
    require_free_names,
    require_same_errors_policy,
    require_some_text,
)
from oomguard.preparation.shuffle_rules import room_for_pass
from oomguard.preparation.shuffling import bucket_writers, open_spool
from oomguard.preparation.writing.buckets import spool_plan
from oomguard.preparation.writing.formats.base import FinishedSet, FinishedShard
from oomguard.preparation.writing.manifest import Manifest, Progress
from oomguard.preparation.writing.progress_check import require_sense
from oomguard.preparation.writing.read_parts import ReadParts, require_same_inputs
from oomguard.preparation.writing.shard_check import require_own_leftovers, require_shards
from oomguard.preparation.writing.shard_writer import ShardPlan
from oomguard.preparation.writing.shuffle_folder import remove_spool, require_none_under_way
from oomguard.preparation.writing.token_sink import TokenSink, Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack

    from oomguard.preparation.conversion_sink import Pieces
    from oomguard.preparation.engines.events import PrepareEvents
    from oomguard.preparation.engines.slots import Slots
    from oomguard.preparation.engines.worker_pool import WorkerPool
    from oomguard.preparation.job import Job
    from oomguard.preparation.writing.provenance import Provenance
    from oomguard.preparation.writing.sink_thread import Sink
    from oomguard.preparation.writing.token_sink import EncodedPiece, Split, Writer
    from oomguard.supervision.own_budget import RunBudget


def conduct(
    job: Job,
    budget: RunBudget,
    slots: Slots,
    workers: WorkerPool,
    events: PrepareEvents,
    stack: ExitStack,
    *,
    checkpoint_seconds: float,
) -> ShardSet:
    """Do what the manifest says is left to do; `stack` closes what is opened.

    Raises: OomguardError, as `prepare` does.
    """
    options = job.options
    manifest = Manifest(options.out)
    stack.callback(manifest.close)
    if options.extend:
        _reopen(job, manifest, checkpoint_seconds)
    progress = manifest.begin(identity(job), restart=options.restart, extend=options.extend, check=partial(_check, job))
    if options.restart or progress.result is not None or options.shuffle is None:
        remove_spool(options.out)
    if progress.result is not None:
        require_comparable(job.sources)
        return finished(job, progress.result)
    sink = _open_sink(job, manifest, progress, stack, checkpoint_seconds)
    began = time.monotonic()
    if options.shuffle is None:
        events.on_start(job, budget, sink.totals.input_bytes)
        state = _run(job, budget, slots, workers, sink, events, stack)
    else:
        state, progress = _run_shuffled(
            job, budget, slots, workers, sink, manifest, progress, events, stack, checkpoint_seconds
        )
    require_some_text(sink.totals.tokens)
    result = shard_set(job, budget, sink, state, time.monotonic() - began, progress)
    manifest.append(result=result.to_json())
    remove_spool(options.out)
    return result


def _run_shuffled(
    job: Job,
    budget: RunBudget,
    slots: Slots,
    workers: WorkerPool,
    sink: TokenSink,
    manifest: Manifest,
    progress: Progress,
    events: PrepareEvents,
    stack: ExitStack,
    checkpoint_seconds: float,
) -> tuple[PipelineState, Progress]:
    """Fill the spool, then the shards from it; gives what earlier runs had done of the input as well."""
    spool = open_spool(job, stack, identity(job), position=sink.position, check=partial(_check_inputs, job))
    before = spool.progress
    events.on_start(job, budget, totals_before(before).input_bytes)
    state = None
    if not spool.is_full:
        writers = bucket_writers(job, budget.limit, spool.folder)
        into = _sink_for(
            job,
            spool_plan(spool.folder, spool.manifest.state, job.resolved.spec.token_bytes),
            spool.manifest,
            checkpoint_seconds,
            writers,
        )
        stack.callback(into.close)
        into.resume(before)
        state = _run(job, budget, slots, workers, into, events, stack)
        require_some_text(into.totals.tokens)
        spool.note_full(into.totals)
    workers.end_all(kill=True)
    for slot in range(slots.layout.slots):
        slots.free_pages(slot)
    spool.begin(sink)
    meter = MemoryMeter(budget=budget.limit, measure=budget.measure, clock=time.monotonic)
    pieces = spool.pieces(
        sink,
        by_document=job.by_document,
        token_bytes=job.resolved.spec.token_bytes,
        room=room_for_pass(budget.limit, meter.look()),
    )
    told = _Told(pieces, sink, meter, events, sum(source.size or 0 for source in job.sources))
    ConversionSink(manifest, sink, stack, progress, was_done=False).write(told)
    peak = max(meter.peak, meter.look(), state.peak if state else 0)
    if state is None:
        return replace(told.state(), peak=peak), before
    return replace(state, peak=peak), before


@dataclass(slots=True)
class _Told:
    """Pieces that tell how far they are as they are taken."""

    source: Pieces
    sink: TokenSink
    meter: MemoryMeter
    events: PrepareEvents
    bytes_read: int

    def pieces(self, position: dict[str, int]) -> Iterator[EncodedPiece]:
        """All pieces from a position on."""
        for piece in self.source.pieces(position):
            yield piece
            self.meter.look_now_and_then()
            self.events.on_state(self.state())

    def state(self) -> PipelineState:
        """How far it is."""
        return PipelineState(
            totals=self.sink.totals, bytes_read=self.bytes_read, workers=0, memory=self.meter.now,
            peak=self.meter.peak, restarts=0, largest_rss=0, shuffled=self.sink.totals.tokens,
        )  # fmt: skip


def _reopen(job: Job, manifest: Manifest, checkpoint_seconds: float) -> None:
    """Make what was open when a finished run came to its end, if inputs are to be added to it.

    Raises: Changed if its shards are not as they were left.
    """
    options, resolved = job.options, job.resolved
    done = Manifest.peek(manifest.state)
    if "shuffle" in done.header:
        raise Changed(
            f"the documents in {options.out} are shuffled, and new ones would stand behind them",
            do=f"--restart --shuffle {done.header['shuffle']} with all inputs instead of --extend",
        )
    if done.result is None or len(job.sources) <= len(done.inputs):
        return
    require_shards(
        options.out, done, output=resolved.output, layout=resolved.layout, every_byte=options.verify == "full"
    )
    before = manifest.before_the_end()
    sink = _new_sink(job, manifest, checkpoint_seconds)
    if before.checkpoint is not None:
        sink.restore(before.checkpoint, resolved.output.stored_shards(options.out, known=resolved.layout))
    sink.close()


def _check(job: Job, progress: Progress) -> None:
    """Whether the run can continue from there; nothing on disk is changed before."""
    options = job.options
    require_free_names(
        options.out, job.resolved.output, job.resolved.layout, ours=progress.names, provenance=options.provenance
    )
    if options.restart:
        require_own_leftovers(options.out, progress)
        return
    if options.shuffle is None:
        require_none_under_way(options.out)
    require_sense(job, progress)
    _check_inputs(job, progress)
    require_shards(
        options.out,
        progress,
        output=job.resolved.output,
        layout=job.resolved.layout,
        every_byte=options.verify == "full",
    )


def _check_inputs(job: Job, progress: Progress) -> None:
    """What was read of them is there as it was."""
    if not job.options.restart:
        require_same_errors_policy(progress, job.options)
        require_same_inputs(job.sources, progress.inputs, progress)


def _open_sink(
    job: Job, manifest: Manifest, progress: Progress, stack: ExitStack, checkpoint_seconds: float
) -> TokenSink:
    sink = _new_sink(job, manifest, checkpoint_seconds)
    stack.callback(sink.close)
    sink.resume(progress)
    return sink


def _new_sink(job: Job, manifest: Manifest, checkpoint_seconds: float) -> TokenSink:
    resolved = job.resolved
    plan = ShardPlan(
        folder=job.options.out,
        state=manifest.state,
        format=resolved.output,
        layout=resolved.layout,
        first_is_val=resolved.val_fraction is None,
    )
    return _sink_for(job, plan, manifest, checkpoint_seconds)


def _sink_for(
    job: Job,
    plan: ShardPlan,
    manifest: Manifest,
    checkpoint_seconds: float,
    new_writer: Callable[[Split], Writer] | None = None,
) -> TokenSink:
    return TokenSink(
        plan,
        manifest,
        val_fraction=job.resolved.val_fraction if job.by_document else None,
        checkpoint_seconds=checkpoint_seconds,
        errors=job.options.errors,
        read_parts=ReadParts(job.sources),
        encoded_bytes=job.resolved.spec.token_bytes,
        provenance=_provenance(job, manifest, plan) if job.options.provenance else None,
        new_writer=new_writer,
    )


def _provenance(job: Job, manifest: Manifest, plan: ShardPlan) -> Provenance:
    from oomguard.preparation.writing.provenance import Provenance  # numpy and pyarrow, which others do without
    from oomguard.preparation.writing.val_split import ValSplit

    val_fraction = job.resolved.val_fraction if job.by_document else None
    return Provenance(
        plan.folder,
        manifest,
        lambda number: full_path(job.sources[number]),
        split=None if val_fraction is None else ValSplit(val_fraction),
        val_tokens=(plan.layout.shard_tokens or 0) if plan.first_is_val else 0,
    )


def _run(
    job: Job,
    budget: RunBudget,
    slots: Slots,
    workers: WorkerPool,
    sink: TokenSink,
    events: PrepareEvents,
    stack: ExitStack,
) -> PipelineState:
    asked = stack.enter_context(stop_on_signals())
    try:
        state = run_pipeline(job, budget, slots, workers, sink, events, asked)
        sink.finish()
        if job.options.shuffle is not None:
            _heed(asked)  # half of the work comes behind this
    except Stopped as stop:
        sink.checkpoint()
        name = asked() or signal.SIGINT.name
        size = sink.totals.input_bytes
        stopped = Stopped(
            f"by {name} {f'after {size:,} bytes; what was done is kept' if size else 'before anything was done'}",
            do=stop.do,
        )
        stopped.exit_status = 128 + signal.Signals[name]
        raise stopped from stop
    except OomguardError:
        # What came before the bad place is kept, so that the next run begins there.
        try_checkpoint(sink)
        raise
    return replace(state, peak=max(state.peak, budget.measure()))


def _heed(asked: Callable[[], str | None]) -> None:
    if asked() is not None:
        raise Stopped("stopped on request", do="run the same command again: it resumes from here")


def run_pipeline(
    job: Job,
    budget: RunBudget,
    slots: Slots,
    workers: WorkerPool,
    sink: Sink,
    events: PrepareEvents,
    asked: Callable[[], str | None],
    *,
    lines_before: Callable[[], int] = lambda: 0,
) -> PipelineState:
    """Work until the input ends; `asked` names the signal that asked to stop. Raises: as Pipeline.run."""
    meter = MemoryMeter(budget=budget.limit, measure=budget.measure, clock=time.monotonic)
    pipeline = Pipeline(
        job,
        slots,
        workers,
        sink,
        meter,
        oom_kills=budget.oom_kills,
        stop_requested=lambda: asked() is not None,
        on_state=events.on_state,
        lines_before=lines_before,
    )
    state = pipeline.run()
    return replace(state, peak=max(state.peak, meter.look()))


def try_checkpoint(sink: TokenSink) -> None:
    """Take a checkpoint if that can be. The disk may be what is wrong: then the last checkpoint stands."""
    try:
        sink.checkpoint()
    except OomguardError:
        return


def totals_before(progress: Progress) -> Totals:
    """What earlier runs of the same command have done."""
    return Totals(**progress.checkpoint["totals"]) if progress.checkpoint else Totals()


def shard_set(
    job: Job, budget: RunBudget, sink: TokenSink, state: PipelineState, seconds: float, progress: Progress
) -> ShardSet:
    """The result of a run that has just ended; `progress` is what earlier ones had done of it."""
    totals, before = sink.totals, totals_before(progress)
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
            f"the manifest was damaged in line {progress.damaged_line}: what came after the last checkpoint before it "
            "was done again"
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
        and any(source.kind == "text" and not source.seekable_text for source in job.sources),
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
