"""`oomguard prepare`: a corpus into training shards, inside a memory budget, with exactly tiktoken's tokens.

Imported here is what a run needs before its first encoder, the nursery, can be started. The nursery takes 0.2 s to
start, and what else the run needs is imported meanwhile.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.kernel.machine.cpus import usable_cpus
from oomguard.kernel.storage.filesystems import is_in_memory
from oomguard.preparation.encoding.encodings import find_rank_file, gigatoken_is_installed
from oomguard.preparation.engines.events import PrepareEvents
from oomguard.preparation.engines.memory_budget import BudgetPlan, plan_budget
from oomguard.preparation.engines.messages import new_sentinel
from oomguard.preparation.engines.starting import open_slots, start_nursery
from oomguard.preparation.job import Job
from oomguard.preparation.options import PrepareOptions, ResolvedOptions, resolve_options
from oomguard.preparation.preconditions import identity, require_folder, require_known_length
from oomguard.preparation.reading.sources import Found, find_inputs
from oomguard.preparation.writing.formats.expectations import expect_no_train_shard
from oomguard.supervision.run_budget import RunBudget, open_budget

if TYPE_CHECKING:
    from oomguard.preparation.model import PreparePlan, ShardSet
    from oomguard.preparation.reading.source import Source

_CHECKPOINT_SECONDS = 10.0
_BYTES_PER_TOKEN = 4.4  # English text in gpt2; only for the estimate of --dry-run


def prepare(options: PrepareOptions, *, max_rss: int | None = None, events: PrepareEvents | None = None) -> ShardSet:
    """Turn the inputs into shards; a run that was stopped goes on from its last checkpoint.

    `max_rss` is the budget in bytes, enforced where the machine allows; None: what the machine leaves.
    Raises: OomguardError, whose `do` says how to go on. Call it from the main thread.
    """
    resolved = resolve_options(options)
    require_folder(options.out)
    found = find_inputs(options.inputs, folder=Path(), exclude=options.out, wanted=resolved.wanted)
    rank_file = find_rank_file(resolved.spec)
    with ExitStack() as stack:
        job, budget = _open_job(stack, found, options, resolved, rank_file, max_rss)
        slots = open_slots(job, stack)
        nursery = start_nursery(slots, stack)
        from oomguard.preparation.execution import conduct

        events = events or PrepareEvents()
        return conduct(job, budget, slots, nursery, events, stack, checkpoint_seconds=_CHECKPOINT_SECONDS)


def plan_prepare(options: PrepareOptions, *, max_rss: int | None = None) -> PreparePlan:
    """Say what `prepare` would do; changes nothing.

    Raises: OomguardError as `prepare` would.
    """
    from oomguard.preparation.model import PreparePlan

    resolved = resolve_options(options)
    require_folder(options.out)
    found = find_inputs(options.inputs, folder=Path(), exclude=options.out, wanted=resolved.wanted)
    rank_file = find_rank_file(resolved.spec)
    with ExitStack() as stack:
        job, budget = _open_job(stack, found, options, resolved, rank_file, max_rss)
    sources = found.sources
    plain = all(source.size is not None and source.seekable_text for source in sources)
    tokens = sum(source.size or 0 for source in sources) / _BYTES_PER_TOKEN
    plan = job.budget
    return PreparePlan(
        inputs=tuple({"path": s.path, "size": s.size, "kind": s.kind, "compression": s.compression} for s in sources),
        folder=str(options.out),
        format=options.format,
        encoding=options.encoding,
        token_bytes=resolved.layout.token_bytes,
        budget=plan.budget,
        limited_by=f"{budget.explanation}; {budget.enforced_by}",
        workers=plan.workers,
        piece_bytes=plan.piece_bytes,
        longest_word=plan.longest_word,
        largest_document=plan.largest_document,
        estimated_output_bytes=int(tokens * resolved.layout.token_bytes) if plain else None,
        free_disk_bytes=shutil.disk_usage(_existing_parent(options.out)).free,
        done_bytes=_peek_done(job),
        notes=job.notes,
    )


def _open_job(
    stack: ExitStack,
    found: Found,
    options: PrepareOptions,
    resolved: ResolvedOptions,
    rank_file: Path,
    max_rss: int | None,
) -> tuple[Job, RunBudget]:
    """Settle the plan and enter the budget, which `stack` leaves."""
    sources = found.sources
    plan = partial(divide_budget, sources=sources, options=options, resolved=resolved)
    if max_rss is not None:
        plan(max_rss)  # before it is enforced: this process itself may not fit in what is too small
    budget = stack.enter_context(open_budget(max_rss))
    notes = list(found.notes)
    if is_in_memory(options.out):
        notes.append(f"{options.out} is memory (tmpfs): what is written there counts against the budget")
    if resolved.separator and not any(source.kind == "text" for source in sources):
        notes.append("--separator divides text files only; here it does nothing")
    if resolved.wanted.field_asked and all(source.kind == "text" for source in sources):
        notes.append("--text-field names a field of jsonl or parquet; here it does nothing")
    if not gigatoken_is_installed():
        notes.append("gigatoken is not installed: tiktoken does the work, some 30 times slower")
    expected = expect_no_train_shard(
        resolved.layout,
        first_is_val=resolved.val_fraction is None and all(source.seekable_text for source in sources),
        tokens=sum(source.size or 0 for source in sources) / _BYTES_PER_TOKEN,
    )
    job = Job(
        sources=sources,
        options=options,
        resolved=resolved,
        budget=plan(budget.limit),
        rank_file=rank_file,
        sentinel=new_sentinel(),
        notes=(*notes, *expected),
        expectations=tuple(expected),
    )
    require_known_length(job)
    return job, budget


def divide_budget(
    budget: int, *, sources: list[Source], options: PrepareOptions, resolved: ResolvedOptions
) -> BudgetPlan:
    """Divide `budget` bytes among the processes of this job. Raises: BudgetTooSmall."""
    return plan_budget(
        budget,
        family=resolved.spec.family,
        workers=options.workers,
        cpus=usable_cpus(),
        reader=not all(source.seekable_text for source in sources),
        verify=options.verify != "off",
    )


def _existing_parent(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())


def _peek_done(job: Job) -> int:
    """Bytes of input that an earlier run of the same job has done, as its manifest says."""
    from oomguard.preparation.execution import totals_before
    from oomguard.preparation.writing.manifest import STATE_FOLDER, Manifest

    progress = Manifest.peek(job.options.out / STATE_FOLDER, identity(job))
    return totals_before(progress).input_bytes


__all__ = ["PrepareEvents", "PrepareOptions", "plan_prepare", "prepare"]
