"""`oomguard prepare`: a corpus into training shards, inside a memory budget, with exactly tiktoken's tokens."""

from __future__ import annotations

import secrets
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oomguard.errors import OomguardError, Stopped
from oomguard.linux.cpus import usable_cpus
from oomguard.linux.filesystems import is_in_memory
from oomguard.linux.run_budget import RunBudget, open_budget
from oomguard.linux.stop_signals import stop_on_signals
from oomguard.planning.memory_budget import plan_budget
from oomguard.preparation.encodings import find_rank_file, gigatoken_is_installed
from oomguard.preparation.governor import Governor
from oomguard.preparation.job import Job
from oomguard.preparation.manifest import STATE_FOLDER, Manifest, Progress
from oomguard.preparation.options import PrepareOptions, ResolvedOptions, resolve_options
from oomguard.preparation.pipeline import Pipeline, PipelineState
from oomguard.preparation.preconditions import (
    identity,
    require_comparable,
    require_folder,
    require_free_names,
    require_known_length,
    require_same_errors_policy,
    require_shards,
    require_some_text,
)
from oomguard.preparation.shard_writer import ShardPlan
from oomguard.preparation.slots import SlotLayout, Slots
from oomguard.preparation.sources import Source, find_sources
from oomguard.preparation.token_sink import TokenSink, Totals
from oomguard.results.shard_set import PreparePlan, Shard, ShardSet

if TYPE_CHECKING:
    from collections.abc import Callable

_CHECKPOINT_SECONDS = 10.0
_NANOGPT_BLOCK = 1024  # train.py's default block_size: get_batch() fails on a shorter file
_BYTES_PER_TOKEN = 4.4  # English text in gpt2; only for the estimate of --dry-run


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareEvents:
    """What a caller may want to see while it runs."""

    on_start: Callable[[Job, RunBudget, int], None] = lambda *_: None  # with the bytes done by an earlier run
    on_state: Callable[[PipelineState], None] = lambda _: None


def prepare(options: PrepareOptions, *, max_rss: int | None = None, events: PrepareEvents | None = None) -> ShardSet:
    """Turn the inputs into shards; a run that was stopped goes on from its last checkpoint.

    `max_rss` is the budget in bytes, enforced where the machine allows; None: what the machine leaves.
    Raises: OomguardError, whose `do` says how to go on. Call it from the main thread.
    """
    events = events or PrepareEvents()
    resolved = resolve_options(options)
    require_folder(options.out)
    sources = find_sources(options.inputs, folder=Path(), exclude=options.out)
    rank_file = find_rank_file(resolved.spec)
    with ExitStack() as stack:
        job, budget = _open_job(stack, sources, options, resolved, rank_file, max_rss)
        manifest = Manifest(options.out)
        stack.callback(manifest.close)
        if options.restart or not manifest.exists:
            require_free_names(job, ours=manifest.shard_names())
        progress = manifest.begin(identity(job), restart=options.restart)
        require_shards(job, progress.shards)
        require_same_errors_policy(progress, options)
        if progress.result is not None:
            require_comparable(sources)
            return _finished(progress.result, options.out)
        sink = _open_sink(job, manifest, progress, stack)
        events.on_start(job, budget, sink.totals.input_bytes)
        began = time.monotonic()
        state = _run(job, budget, sink, events, stack)
        require_some_text(sink.totals.tokens)
        result = _result(job, budget, sink, state, time.monotonic() - began, _before(progress))
        manifest.append(result=result.to_json())
        return result


def plan_prepare(options: PrepareOptions, *, max_rss: int | None = None) -> PreparePlan:
    """Say what `prepare` would do; changes nothing.

    Raises: OomguardError as `prepare` would.
    """
    resolved = resolve_options(options)
    require_folder(options.out)
    sources = find_sources(options.inputs, folder=Path(), exclude=options.out)
    rank_file = find_rank_file(resolved.spec)
    with ExitStack() as stack:
        job, budget = _open_job(stack, sources, options, resolved, rank_file, max_rss)
    plain = all(source.size is not None and source.seekable_text for source in sources)
    tokens = sum(source.size or 0 for source in sources) / _BYTES_PER_TOKEN
    plan = job.budget
    return PreparePlan(
        inputs=tuple({"path": s.path, "size": s.size, "kind": s.kind, "compression": s.compression} for s in sources),
        folder=str(options.out),
        format=options.format,
        encoding=options.encoding,
        token_bytes=resolved.spec.token_bytes,
        budget=plan.budget,
        limited_by=f"{budget.explanation}; {budget.enforced_by}",
        workers=plan.workers,
        piece_bytes=plan.piece_bytes,
        longest_word=plan.longest_word,
        largest_document=plan.largest_document,
        estimated_output_bytes=int(tokens * resolved.spec.token_bytes) if plain else None,
        free_disk_bytes=shutil.disk_usage(_existing_parent(options.out)).free,
        done_bytes=_peek_done(job),
    )


def _open_job(
    stack: ExitStack,
    sources: list[Source],
    options: PrepareOptions,
    resolved: ResolvedOptions,
    rank_file: Path,
    max_rss: int | None,
) -> tuple[Job, RunBudget]:
    """Settle the plan and enter the budget, which `stack` leaves."""
    plan = partial(
        plan_budget,
        family=resolved.spec.family,
        workers=options.workers,
        cpus=usable_cpus(),
        reader=not all(source.seekable_text for source in sources),
        verify=options.verify != "off",
    )
    if max_rss is not None:
        plan(max_rss)  # before it is enforced: this process itself may not fit in what is too small
    budget = stack.enter_context(open_budget(max_rss))
    # U+FDD0 and U+FDD1 are noncharacters, and nobody can guess what is between them.
    sentinel = f"\ufdd0{secrets.token_hex(12)}\ufdd1".encode()
    notes = []
    if is_in_memory(options.out):
        notes.append(f"{options.out} is memory (tmpfs): what is written there counts against the budget")
    if resolved.separator and not any(source.kind == "text" for source in sources):
        notes.append("--separator divides text files only; here it does nothing")
    if not gigatoken_is_installed():
        notes.append("gigatoken is not installed: tiktoken does the work, some 30 times slower")
    job = Job(
        sources=sources,
        options=options,
        resolved=resolved,
        budget=plan(budget.limit),
        rank_file=rank_file,
        sentinel=sentinel,
        notes=tuple(notes),
    )
    require_known_length(job)
    return job, budget


def _open_sink(job: Job, manifest: Manifest, progress: Progress, stack: ExitStack) -> TokenSink:
    resolved = job.resolved
    plan = ShardPlan(
        folder=job.options.out,
        state=manifest.state,
        format=job.options.format,
        token_bytes=resolved.spec.token_bytes,
        shard_tokens=resolved.shard_tokens,
        name=resolved.name,
        first_is_val=resolved.val_fraction is None,
    )
    sink = TokenSink(
        plan,
        manifest,
        val_fraction=resolved.val_fraction if job.by_document else None,
        checkpoint_seconds=_CHECKPOINT_SECONDS,
        errors=job.options.errors,
    )
    stack.callback(sink.close)
    sink.resume(progress)
    return sink


def _run(job: Job, budget: RunBudget, sink: TokenSink, events: PrepareEvents, stack: ExitStack) -> PipelineState:
    layout = SlotLayout(
        longest_piece=job.budget.longest_piece,
        token_bytes=job.resolved.spec.token_bytes,
        slots=job.budget.slots,
    )
    governor = Governor(budget=budget.limit, measure=budget.measure, clock=time.monotonic)
    asked = stack.enter_context(stop_on_signals())
    slots = Slots(layout)
    stack.callback(slots.close)
    pipeline = Pipeline(
        job,
        slots,
        sink,
        governor,
        oom_kills=budget.oom_kills,
        stop_requested=lambda: asked() is not None,
        on_state=events.on_state,
    )
    try:
        state = pipeline.run()
        sink.finish()
    except Stopped as stop:
        sink.checkpoint()
        raise Stopped(f"by {asked()} after {sink.totals.input_bytes:,} bytes; they are kept", do=stop.do) from stop
    except OomguardError:
        # What came before the bad place is kept, so that the next run begins there.
        _try_checkpoint(sink)
        raise
    return replace(state, peak=max(state.peak, governor.look()))


def _try_checkpoint(sink: TokenSink) -> None:
    """The disk may be what is wrong: then the last checkpoint stands."""
    try:
        sink.checkpoint()
    except OomguardError:
        return


def _before(progress: Progress) -> Totals:
    return Totals(**progress.checkpoint["totals"]) if progress.checkpoint else Totals()


def _result(
    job: Job, budget: RunBudget, sink: TokenSink, state: PipelineState, seconds: float, before: Totals
) -> ShardSet:
    totals = sink.totals
    notes = list(job.notes)
    notes += _split_notes(job, sink.shards)
    if before.input_bytes:
        notes.append(f"{before.input_bytes:,} bytes of it were done by an earlier run")
    return ShardSet(
        tokens=totals.tokens,
        documents=totals.documents,
        input_bytes=totals.input_bytes,
        shards=tuple(Shard(**shard) for shard in sink.shards),
        encoding=job.options.encoding,
        format=job.options.format,
        token_bytes=job.resolved.spec.token_bytes,
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
        restarted_workers=state.restarts,
        folder=str(job.options.out.absolute()),
        notes=tuple(notes),
        budget_notes=budget.notes,
    )


def _split_notes(job: Job, shards: list[dict[str, Any]]) -> list[str]:
    """Say when a loader would miss a split."""
    tokens = {split: sum(shard["tokens"] for shard in shards if shard["split"] == split) for split in ("train", "val")}
    note = ""
    if job.resolved.val_fraction is None and not tokens["train"]:
        note = (
            "all fits in the first shard, which is for validation, and nothing is left to train on: "
            f"--shard-tokens {max(1, tokens['val'] // 10)} or --val-fraction 0.01 gives both"
        )
    elif job.options.format == "nanogpt" and job.by_document and tokens["val"] <= _NANOGPT_BLOCK:
        note = (
            f"only {tokens['val']:,} validation tokens, and nanoGPT needs more than {_NANOGPT_BLOCK:,} "
            "(its block_size): a larger --val-fraction, or --separator, gives more"
        )
    return [note] if note else []


def _finished(result: dict[str, Any], out: Path) -> ShardSet:
    """Show again what an earlier run of the same command made."""
    fields = {key: value for key, value in result.items() if key != "schema"}
    fields |= {"shards": tuple(Shard(**shard) for shard in result["shards"]), "notes": tuple(result["notes"])} | {
        "budget_notes": tuple(result["budget_notes"])
    }
    shards = ShardSet(**fields)
    return replace(shards, already_done=True, folder=str(out.absolute()))


def _existing_parent(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())


def _peek_done(job: Job) -> int:
    """Bytes of input that an earlier run of the same job has done, as its manifest says."""
    progress = Manifest.peek(job.options.out / STATE_FOLDER, identity(job))
    return _before(progress).input_bytes


__all__ = ["PrepareEvents", "PrepareOptions", "plan_prepare", "prepare"]
