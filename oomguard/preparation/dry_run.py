"""What `prepare` would do: `--dry-run`, and where `plan` begins."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from oomguard.errors import edge
from oomguard.preparation.disk_room import BYTES_PER_TOKEN, free_bytes
from oomguard.preparation.identity import bytes_done_before
from oomguard.preparation.model import InputFacts, PreparePlan
from oomguard.preparation.request import look_up
from oomguard.preparation.settling import settle
from oomguard.preparation.shuffle_rules import disk_beside_shards

if TYPE_CHECKING:
    from oomguard.preparation.options import PrepareOptions


@edge
def plan_prepare(options: PrepareOptions, *, max_rss: int | None = None) -> PreparePlan:
    """Say what `prepare` would do; changes nothing.

    Raises: OomguardError as `prepare` would.
    """
    asked = look_up(options, fetch=False)
    resolved, sources = asked.resolved, asked.sources
    with ExitStack() as stack:
        job, budget = settle(stack, sources, options, resolved, max_rss, notes=asked.notes)
    plain = all(source.size is not None and source.divisible_text for source in sources)
    tokens = sum(source.size or 0 for source in sources) / BYTES_PER_TOKEN
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
        least_output_bytes=asked.needed,
        is_possible=asked.needed is None or asked.needed <= asked.room,
        done_bytes=bytes_done_before(job),
        notes=job.notes,
        shuffle=options.shuffle,
        shuffle_disk_bytes=disk_beside_shards(sources, resolved.spec.token_bytes)
        if options.shuffle is not None
        else None,
    )
