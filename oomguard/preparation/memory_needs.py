"""What decides how much memory a job takes: its inputs, its tokenizer, what is checked and written beside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.kernel.machine import usable_cpus
from oomguard.preparation.encoding.load_engine import uses_core
from oomguard.preparation.engines.memory_sum import BudgetPlan, Needs, plan_budget
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.preparation.options import PrepareOptions, ResolvedOptions
    from oomguard.preparation.reading.source import Source


_MANY = 1 << 20
_INFLATES = 4  # how much text a compressed file may hold, by its bytes


def memory_needs(sources: Sequence[Source], *, options: PrepareOptions, resolved: ResolvedOptions) -> Needs:
    """What decides how much memory this job takes."""
    page = page_text = None
    if tables := [source for source in sources if source.kind == "parquet"]:
        from oomguard.preparation.reading.parquet_head import largest_page

        page, page_text = largest_page(tables) or (None, None)
    ahead, ahead_of = 0, ""
    if any(source.compression or source.kind == "arrow" for source in sources):
        from oomguard.preparation.reading.packed_streams import memory_ahead

        ahead, ahead_of = memory_ahead(sources)
    return Needs(
        family=resolved.spec.family,
        token_bytes=resolved.spec.token_bytes,
        inputs=frozenset(source.memory for source in sources),
        stream=any(not source.is_cut for source in sources),
        remote=frozenset(source.kind == "parquet" for source in sources if source.is_remote),
        signed=any(source.path.startswith(("s3://", "gs://")) for source in sources),
        chunks=_chunks(sources),
        native=uses_core(resolved.spec),
        vocabulary=resolved.spec.vocabulary_bytes,
        reference=resolved.spec.reference_bytes,
        verify=options.verify != "off",
        provenance=options.provenance,
        each_verifies=options.verify == "full",
        page=page,
        page_text=page_text,
        shuffle=options.shuffle is not None,
        ahead=ahead,
        ahead_of=ahead_of,
    )


def _chunks(sources: Sequence[Source]) -> int:
    """How many chunks there are at the least: more workers would have nothing to do."""
    if any(source.size is None for source in sources):
        return _MANY
    return sum(-(-(source.size or 0) * (_INFLATES if source.compression else 1) // MIB) for source in sources) or 1


def divide_budget(budget: int, *, needs: Needs, options: PrepareOptions) -> BudgetPlan:
    """Divide `budget` bytes among the processes of this job. Raises: BudgetTooSmall."""
    return plan_budget(budget, needs=needs, workers=options.workers, cpus=min(usable_cpus(), needs.chunks))
