"""A job settled: its memory divided, its budget entered, its tokenizer's file open."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from oomguard.preparation.encoding.load_engine import open_rank_file, open_vocabulary, why_no_core
from oomguard.preparation.job import Job
from oomguard.preparation.job_notes import job_guesses, job_notes
from oomguard.preparation.memory_needs import divide_budget, memory_needs
from oomguard.preparation.preconditions import require_known_length
from oomguard.supervision.own_budget import RunBudget, enter_budget

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack

    from oomguard.preparation.options import PrepareOptions, ResolvedOptions
    from oomguard.preparation.reading.source import Source


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

    `notes`: of how the sources were found; `text_files` as in Job; `sends`: what is made is sent to a server from
    this process.
    """
    rank_file, rank_fd = open_rank_file(resolved.spec, stack)
    needs = replace(memory_needs(sources, options=options, resolved=resolved), sends=sends)
    if max_rss is not None:
        divide_budget(
            max_rss, needs=needs, options=options
        )  # before it is enforced: this process itself may not fit in what is too small
    budget = stack.enter_context(enter_budget(max_rss))
    needs = replace(needs, held=budget.held_before, is_part="cgroup" in budget.explanation)  # else "--max-rss", or free
    known = job_notes(sources, options, resolved, why_slow="" if needs.native else why_no_core(resolved.spec))
    guesses = job_guesses(sources, options, resolved)
    job = Job(
        sources=sources,
        options=options,
        resolved=resolved,
        budget=divide_budget(budget.limit, needs=needs, options=options),
        rank_file=rank_file,
        rank_fd=rank_fd,
        needs=needs,
        vocabulary_fd=open_vocabulary(stack) if needs.native else -1,
        notes=(*notes, *known, *guesses),
        expectations=tuple(guesses),
        text_files=text_files,
    )
    require_known_length(job)
    return job, budget
