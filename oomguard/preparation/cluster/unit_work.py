"""One unit of a job, encoded under a budget into its part."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from oomguard.preparation.cluster.part_writer import PartWriter
from oomguard.preparation.cluster.shard_table import counts_of
from oomguard.preparation.cluster.unit_source import lines_before, source_now
from oomguard.preparation.engines.run import start_run
from oomguard.preparation.running import encode_all
from oomguard.preparation.settling import settle

if TYPE_CHECKING:
    from oomguard.preparation.cluster.job_file import JobFile
    from oomguard.preparation.engines.progress import PrepareEvents


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitResult:
    """What was done. Sizes in bytes."""

    unit: int
    source: str
    tokens: int
    documents: int
    input_bytes: int
    seconds: float
    budget: int
    peak_unreclaimable: int
    enforced_by: str
    already_done: bool = False

    def to_json(self) -> dict[str, Any]:
        """The same facts for programs."""
        return {"schema": "oomguard.unit/1", **asdict(self)}


def do_unit(
    job_file: JobFile,
    number: int,
    *,
    workers: int | None = None,
    max_rss: int | None = None,
    events: PrepareEvents | None = None,
) -> UnitResult:
    """Encode one unit, unless it is done, and commit its part; where two do so, the first one counts.

    `max_rss` as in `prepare`.
    Raises: OomguardError, with the place in the input where it is wrong. Call it from the main thread.
    """
    job_file.require_unit(number)
    job_file.require_same_folder()
    resolved = job_file.resolve()
    path = job_file.part_file(number)
    began = time.monotonic()
    totals = counts_of(job_file, number, resolved.spec.token_bytes)
    if totals is not None:
        return UnitResult(
            unit=number, source=job_file.source_of(job_file.units[number]).path,
            tokens=sum(each.tokens for each in totals),
            documents=sum(each.documents for each in totals), input_bytes=sum(each.input_bytes for each in totals),
            seconds=0.0, budget=0, peak_unreclaimable=0, enforced_by="", already_done=True,
        )  # fmt: skip
    source = source_now(job_file, number, token_bytes=resolved.spec.token_bytes)
    texts = sum(each.divisible_text for each in job_file.sources)
    with ExitStack() as stack:
        options = replace(job_file.options_here(stack), workers=workers)
        job, budget = settle(stack, [source], options, resolved, max_rss, text_files=texts, sends=job_file.is_in_store)
        writer = PartWriter(
            path, job=job_file.sha256, unit=number, token_bytes=resolved.spec.token_bytes,
            folder=options.out if job_file.is_in_store else None,
        )  # fmt: skip
        stack.callback(writer.close)
        is_lines = source.kind == "jsonl" and not source.is_remote  # there they are counted from the begin of the unit
        run = start_run(job, budget, stack, events=events)
        state = encode_all(run, writer, lines_before=lambda: lines_before(source) if is_lines else 0)
        is_first = writer.commit()
    return UnitResult(
        unit=number,
        source=source.path,
        tokens=writer.totals.tokens,
        documents=writer.totals.documents,
        input_bytes=writer.totals.input_bytes,
        seconds=round(time.monotonic() - began, 3),
        budget=budget.limit,
        peak_unreclaimable=state.peak,
        enforced_by=budget.enforced_by,
        already_done=not is_first,
    )
