"""One unit of a job, encoded under a budget into its part."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput, Stopped
from oomguard.kernel.process.stop_request import stop_on_signals
from oomguard.preparation.api import open_job, start_workers
from oomguard.preparation.cluster.parts import PartWriter, open_part
from oomguard.preparation.encoding.encodings import find_rank_file
from oomguard.preparation.engines.events import PrepareEvents
from oomguard.preparation.engines.meter import MemoryMeter
from oomguard.preparation.engines.pipeline import Pipeline
from oomguard.preparation.reading.sources import Found
from oomguard.text import printable

if TYPE_CHECKING:
    from oomguard.preparation.cluster.job_file import JobFile
    from oomguard.preparation.reading.source import Source

_MIB = 1 << 20


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
    if not 0 <= number < len(job_file.units):
        raise BadInput(f"--unit {number}: the job has {len(job_file.units):,}", do=f"0 to {len(job_file.units) - 1}")
    job_file.require_same_folder()
    resolved = job_file.resolve()
    source = job_file.source_of(job_file.units[number])
    path = job_file.part_file(number)
    began = time.monotonic()
    if path.exists():
        part = open_part(path, job=job_file.sha256, unit=number, token_bytes=resolved.spec.token_bytes, check=False)
        totals = [each.count for each in part.segments]
        return UnitResult(
            unit=number, source=source.path, tokens=sum(each.tokens for each in totals),
            documents=sum(each.documents for each in totals), input_bytes=sum(each.input_bytes for each in totals),
            seconds=0.0, budget=0, peak_unreclaimable=0, enforced_by="", already_done=True,
        )  # fmt: skip
    options = replace(job_file.options, workers=workers)
    texts = sum(each.seekable_text for each in job_file.sources)
    with ExitStack() as stack:
        job, budget = open_job(
            stack, Found(sources=[source]), options, resolved, find_rank_file(resolved.spec), max_rss, text_files=texts
        )
        slots, pool = start_workers(job, stack)
        writer = PartWriter(path, job=job_file.sha256, unit=number, token_bytes=resolved.spec.token_bytes)
        stack.callback(writer.close)
        meter = MemoryMeter(budget=budget.limit, measure=budget.measure, clock=time.monotonic)
        asked = stack.enter_context(stop_on_signals())
        events = events or PrepareEvents()
        events.on_start(job, budget, 0)
        pipeline = Pipeline(
            job, slots, pool, writer, meter,
            oom_kills=budget.oom_kills,
            stop_requested=lambda: asked() is not None,
            on_state=events.on_state,
            lines_before=lambda: _lines_before(source) if source.kind == "jsonl" else 0,
        )  # fmt: skip
        try:
            state = pipeline.run()
        except Stopped as stop:
            raise Stopped(f"by {asked() or 'request'}: unit {number} is left undone", do="run it again") from stop
        is_first = writer.commit()
    return UnitResult(
        unit=number,
        source=source.path,
        tokens=writer.totals.tokens,
        documents=writer.totals.documents,
        input_bytes=writer.totals.input_bytes,
        seconds=round(time.monotonic() - began, 3),
        budget=budget.limit,
        peak_unreclaimable=max(state.peak, meter.peak),
        enforced_by=budget.enforced_by,
        already_done=not is_first,
    )


def _lines_before(source: Source) -> int:
    """Count the lines before a part of a file, so that an error can name the one that is wrong. Raises: BadInput."""
    left, lines = source.begin, 0
    try:
        with open(source.path, "rb", buffering=0) as file:  # noqa: PTH123 - no buffer of its own
            while left and (data := file.read(min(left, _MIB))):
                lines += data.count(b"\n")
                left -= len(data)
    except OSError as error:
        raise BadInput(f"{printable(source.path)} cannot be read: {error.strerror}", do="check it") from error
    return lines
