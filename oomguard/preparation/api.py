"""`oomguard prepare`: a corpus into training shards, inside a memory budget, with exactly tiktoken's tokens.

Imported here is what a run needs before its workers can be started; what else it needs is imported while they start.
"""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import BadInput, Stopped, edge
from oomguard.kernel.process import stop_on_signals
from oomguard.kernel.storage import is_in_memory
from oomguard.preparation.disk_room import free_bytes, require_room, room_needed, unknown_room
from oomguard.preparation.encoding.encodings import find_rank_file
from oomguard.preparation.encoding.load_engine import fill_vocabulary, open_vocabulary, why_no_core
from oomguard.preparation.engines.events import PrepareEvents
from oomguard.preparation.engines.worker_pool import WorkerPool, open_slots
from oomguard.preparation.identity import identity
from oomguard.preparation.job import Job
from oomguard.preparation.memory_needs import divide_budget, memory_needs
from oomguard.preparation.options import PrepareOptions, ResolvedOptions, resolve_options
from oomguard.preparation.preconditions import require_folder, require_known_length
from oomguard.preparation.reading.kinds import KINDS
from oomguard.preparation.reading.source import REMOTE
from oomguard.preparation.reading.sources import Found, behind_earlier, find_inputs
from oomguard.preparation.shuffle_rules import disk_beside_shards, disk_note, require_documents
from oomguard.preparation.writing.formats.base import expect_no_train_shard
from oomguard.supervision.own_budget import RunBudget, enter_budget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from oomguard.preparation.encoding.encodings import EncodingSpec
    from oomguard.preparation.engines.pipeline import PipelineState
    from oomguard.preparation.engines.slots import Slots
    from oomguard.preparation.model import PreparePlan, ShardSet
    from oomguard.preparation.reading.source import Source
    from oomguard.preparation.writing.sink_thread import Sink


_CHECKPOINT_SECONDS = 10.0
_BYTES_PER_TOKEN = 4.4  # English text in gpt2; only for the estimate of --dry-run


@edge
def prepare(options: PrepareOptions, *, max_rss: int | None = None, events: PrepareEvents | None = None) -> ShardSet:
    """Turn the inputs into shards; a run that was stopped resumes from its last checkpoint.

    `max_rss` is the budget in bytes, enforced where the machine allows; None: 80% of what is available.
    Raises: OomguardError, whose `do` says what to do next. Call it from the main thread.
    """
    resolved = resolve_options(options)
    require_folder(options.out)
    found = _find(options, resolved)
    require_room(options.out, *_room(options, found.sources, resolved))
    rank_file = find_rank_file(resolved.spec)
    with ExitStack() as stack:
        job, budget = open_job(stack, found, options, resolved, rank_file, max_rss)
        slots, workers = start_workers(job, stack)
        from oomguard.preparation.execution import execute
        from oomguard.preparation.running import Run

        run = Run(
            job=job, budget=budget, slots=slots, workers=workers, stack=stack, events=events or PrepareEvents(),
            checkpoint_seconds=_CHECKPOINT_SECONDS,
        )  # fmt: skip
        return execute(run)


def settle(
    stack: ExitStack,
    sources: Sequence[Source],
    options: PrepareOptions,
    resolved: ResolvedOptions,
    max_rss: int | None,
    *,
    notes: tuple[str, ...] = (),
    text_files: int | None = None,
    sends: bool = False,
) -> tuple[Job, RunBudget]:
    """Settle a job whose sources are known and enter its budget, which `stack` leaves. Raises: as `prepare`.

    `sends`: what is made is sent to a server from this process.
    """
    found, ranks = Found(sources=sources, notes=notes), find_rank_file(resolved.spec)
    return open_job(stack, found, options, resolved, ranks, max_rss, text_files=text_files, sends=sends)


def encode_into(
    sink: Sink,
    job: Job,
    budget: RunBudget,
    stack: ExitStack,
    *,
    events: PrepareEvents | None = None,
    lines_before: Callable[[], int] = lambda: 0,
) -> PipelineState:
    """Encode all of a job's sources into a sink; `stack` closes what is opened.

    `lines_before` counts the lines before a part of a file, where an error is to name one.
    Raises: OomguardError, as `prepare` does; Stopped on a signal.
    """
    slots, workers = start_workers(job, stack)
    from oomguard.preparation.running import run_pipeline

    events = events or PrepareEvents()
    events.on_start(job, budget, 0)
    asked = stack.enter_context(stop_on_signals())
    try:
        return run_pipeline(job, budget, slots, workers, sink, events, asked, lines_before=lines_before)
    except Stopped as stop:
        stopped = Stopped(f"by {asked() or 'request'}", do=stop.do)
        stopped.exit_status = 128 + signal.Signals[asked() or "SIGINT"]
        raise stopped from stop


def start_workers(job: Job, stack: ExitStack) -> tuple[Slots, WorkerPool]:
    """Start them, which import what they need meanwhile, and tell them all that they share; `stack` ends them."""
    slots = open_slots(job, stack)
    workers = WorkerPool(job, slots, stack)
    if job.vocabulary_fd >= 0:
        fill_vocabulary(job.resolved.spec, job.rank_file, job.vocabulary_fd)
    workers.configure()
    return slots, workers


@edge
def plan_prepare(options: PrepareOptions, *, max_rss: int | None = None) -> PreparePlan:
    """Say what `prepare` would do; changes nothing.

    Raises: OomguardError as `prepare` would.
    """
    from oomguard.preparation.model import InputFacts, PreparePlan

    resolved = resolve_options(options)
    require_folder(options.out)
    found = _find(options, replace(resolved, wanted=replace(resolved.wanted, fetch=False)))
    rank_file = find_rank_file(resolved.spec)
    with ExitStack() as stack:
        job, budget = open_job(stack, found, options, resolved, rank_file, max_rss)
    sources = found.sources
    needed, room = _room(options, sources, resolved)
    plain = all(source.size is not None and source.divisible_text for source in sources)
    tokens = sum(source.size or 0 for source in sources) / _BYTES_PER_TOKEN
    plan = job.budget
    return PreparePlan(
        inputs=InputFacts(sources),
        folder=str(options.out),
        format=options.format,
        encoding=resolved.encoding_name,
        token_bytes=resolved.layout.token_bytes,
        budget=plan.budget,
        limited_by=budget.explanation + (f"; {budget.enforced_by}" if budget.is_enforced else ""),
        workers=plan.workers,
        piece_bytes=plan.piece_bytes,
        longest_word=plan.longest_word,
        largest_document=plan.largest_document,
        sum=plan.sum,
        estimated_output_bytes=int(tokens * resolved.layout.token_bytes) if plain else None,
        free_disk_bytes=free_bytes(options.out),
        least_output_bytes=needed,
        is_possible=needed is None or needed <= room,
        done_bytes=_peek_done(job),
        notes=job.notes,
        shuffle=options.shuffle,
        shuffle_disk_bytes=disk_beside_shards(sources, resolved.spec.token_bytes)
        if options.shuffle is not None
        else None,
    )


def _room(options: PrepareOptions, sources: Sequence[Source], resolved: ResolvedOptions) -> tuple[int | None, int]:
    """What the shards take, and the room for them."""
    return room_needed(
        options.out, sources, width=resolved.layout.token_bytes, separator=resolved.separator,
        is_cut=resolved.spec.family != "none",
    )  # fmt: skip


def _find(options: PrepareOptions, resolved: ResolvedOptions) -> Found:
    """The inputs; with --extend those that a run in the same folder was given come first."""
    wanted = resolved.wanted
    if any(given.startswith(REMOTE) for given in options.inputs) and not options.restart:
        from oomguard.preparation.writing.manifest import STATE_FOLDER, Manifest

        done = Manifest.peek(options.out / STATE_FOLDER).inputs
        wanted = replace(wanted, known=tuple(str(one.get("path")) for one in done))
    found = find_inputs(options.inputs, folder=Path(), exclude=options.out, wanted=wanted)
    if not options.extend:
        return found
    from oomguard.preparation.writing.manifest import STATE_FOLDER, Manifest

    earlier = Manifest.peek(options.out / STATE_FOLDER).inputs
    return replace(found, sources=behind_earlier(found.sources, earlier, resolved.wanted, folder=options.out))


def open_job(
    stack: ExitStack,
    found: Found,
    options: PrepareOptions,
    resolved: ResolvedOptions,
    rank_file: Path,
    max_rss: int | None,
    *,
    text_files: int | None = None,
    sends: bool = False,
) -> tuple[Job, RunBudget]:
    """Settle the plan and enter the budget, which `stack` leaves; `text_files` as in Job, `sends` as in `settle`."""
    sources = found.sources
    needs = replace(memory_needs(sources, options=options, resolved=resolved), sends=sends)
    plan = partial(divide_budget, needs=needs, options=options)
    if max_rss is not None:
        plan(max_rss)  # before it is enforced: this process itself may not fit in what is too small
    budget = stack.enter_context(enter_budget(max_rss))
    needs = replace(needs, held=budget.held_before, is_part="cgroup" in budget.explanation)  # else "--max-rss", or free
    plan = partial(divide_budget, needs=needs, options=options)
    notes = list(found.notes)
    if is_in_memory(options.out):
        notes.append(f"{options.out} is in memory (tmpfs): what is written there counts against the budget")
    if resolved.separator and not any(source.kind in ("text", "tar") for source in sources):
        notes.append("--separator divides text files only, and has no effect here")
    if resolved.wanted.field_asked and not any(KINDS[source.kind].has_fields for source in sources):
        notes.append("--text-field names a field of jsonl or parquet, and has no effect here")
    if options.shuffle is not None:
        if options.provenance:
            raise BadInput(
                "--provenance follows the order of the input, and --shuffle changes it",
                do="leave --shuffle or --provenance out",
            )
        notes += require_documents(sources, resolved.separator)
        notes.append(disk_note(disk_beside_shards(sources, resolved.spec.token_bytes)))
    why_slow = "" if needs.native else why_no_core(resolved.spec)
    notes += tokenizer_notes(resolved.spec, options, why_slow=why_slow)
    rank_fd = os.open(
        rank_file, os.O_RDONLY | os.O_CLOEXEC
    )  # the file that was looked at, whatever its name stands for
    stack.callback(os.close, rank_fd)
    expected = unknown_room(options.out, sources, resolved.layout.token_bytes) + expect_no_train_shard(
        resolved.layout,
        first_is_val=resolved.val_fraction is None and all(source.divisible_text for source in sources),
        tokens=sum(source.size or 0 for source in sources) / _BYTES_PER_TOKEN,
    )
    job = Job(
        sources=sources,
        options=options,
        resolved=resolved,
        budget=plan(budget.limit),
        rank_file=Path(f"/proc/self/fd/{rank_fd}"),
        rank_fd=rank_fd,
        needs=needs,
        vocabulary_fd=open_vocabulary(stack) if needs.native else -1,
        notes=(*notes, *expected),
        expectations=tuple(expected),
        text_files=text_files,
    )
    require_known_length(job)
    return job, budget


def tokenizer_notes(spec: EncodingSpec, options: PrepareOptions, *, why_slow: str) -> list[str]:
    """What a person should know of the tokenizer."""
    notes = []
    if options.tokenizer is not None:
        notes.append(f"tokenizer {spec.name}: {spec.summary()}")
        if spec.token_bytes > 2:
            notes.append(
                f"ids go up to {spec.vocabulary_size - 1:,}: the trainer needs vocab_size {spec.vocabulary_size}"
            )
    if why_slow:
        notes.append(f"{why_slow}: {spec.reference} does the work")  # how slow it is, the first line says
    if spec.family == "none":
        notes.append("with this tokenizer a document is never cut, so each is held in memory whole")
    return notes


def _peek_done(job: Job) -> int:
    """Bytes of input that an earlier run of the same job has done, as its manifest says."""
    from oomguard.preparation.result import totals_before
    from oomguard.preparation.writing.manifest import STATE_FOLDER, Manifest

    states = [job.options.out / STATE_FOLDER]
    if job.options.shuffle is not None:
        from oomguard.preparation.writing.shuffle_folder import spool_folder

        states.append(spool_folder(job.options.out) / STATE_FOLDER)
    begun = [state for state in states if (state / "manifest.jsonl").exists()]
    if not begun:
        return 0  # what a job is takes half a kilobyte for each file
    header = identity(job)
    return max(totals_before(Manifest.peek(state, header)).input_bytes for state in begun)


__all__ = ["PrepareEvents", "PrepareOptions", "plan_prepare", "prepare"]
