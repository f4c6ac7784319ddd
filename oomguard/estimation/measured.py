"""What a job takes, measured: a sample of its input encoded, and the job itself done on parts of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.estimation.needs import check_longest, disk_needed, shard_notes, tokens_with_ends
from oomguard.estimation.run_forecast import RunForecast, forecast_run
from oomguard.estimation.trials import try_some
from oomguard.preparation.dry_run import plan_prepare
from oomguard.preparation.reading.corpus_sample import Estimate, sample_corpus
from oomguard.preparation.request import Request, look_up

if TYPE_CHECKING:
    from oomguard.estimation.run_forecast import ShortRun
    from oomguard.estimation.trials import Trial
    from oomguard.preparation.model import PreparePlan
    from oomguard.preparation.options import PrepareOptions
    from oomguard.preparation.reading.corpus_sample import CorpusSample

_FAST = 1e9  # bytes of text a second, where encoding took no time that could be told
_UNTRIED = "--no-calibration"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredJob:
    """What is known of a job once it was measured. Sizes in bytes."""

    asked: Request
    prepared: PreparePlan
    corpus: CorpusSample
    tokens: Estimate
    disk_needed: int
    forecast: RunForecast | None  # None: nothing was tried
    tried: tuple[ShortRun, ...]
    untried_because: str
    seconds: float  # that trying took
    notes: tuple[str, ...]

    def time_to_count(self) -> list[str]:
        """Where counting is quicker than reading about it."""
        if self.tokens.low == self.tokens.high or self.forecast is None:
            return []
        return [f"the tokens are estimated; prepare counts them, in about {self.forecast.seconds:.1f} s"]


def measure_job(options: PrepareOptions, *, max_rss: int | None, calibrate: bool) -> MeasuredJob:
    """Read a sample of the inputs, and (`calibrate`) do the job on some of them.

    Raises: OomguardError as `prepare` would; BudgetTooSmall for a line that does not fit.
    """
    prepared, asked = plan_prepare(options, max_rss=max_rss), look_up(options)
    sources, resolved = asked.sources, asked.resolved
    corpus = sample_corpus(sources, spec=resolved.spec, separator=resolved.separator, strict=True)
    check_longest(corpus, sources, fits=prepared.largest_document, budget=prepared.budget)
    tokens = tokens_with_ends(corpus, sources, options, resolved)
    needed = disk_needed(tokens, corpus, resolved, options)
    rate = prepared.workers / corpus.seconds_to_encode if corpus.seconds_to_encode else _FAST
    began = time.monotonic()
    trial, untried = None, _UNTRIED
    if needed > prepared.free_disk_bytes:
        untried = "the disk is too small for it"
    elif any(source.is_remote for source in sources):
        untried = "its input is on a server"
    elif calibrate:
        trial, untried = try_some(sources, options, max_rss, text_bytes=corpus.text_bytes.value, encoded_a_second=rate)
    forecast = None
    if trial is not None:
        forecast = _forecast(trial, asked, corpus, prepared, encoded_a_second=rate)
        if trial.is_whole:
            counted = trial.parts[0][0].tokens
            tokens = Estimate(value=counted, low=counted, high=counted)
            needed = disk_needed(tokens, corpus, resolved, options)
    # What `prepare` says when it begins, but for what it guesses of the tokens: here they are known better.
    known = [note for note in prepared.notes if "nothing would be left to train on" not in note]
    return MeasuredJob(
        asked=asked,
        prepared=prepared,
        corpus=corpus,
        tokens=tokens,
        disk_needed=needed,
        forecast=forecast,
        tried=() if trial is None else tuple(run for part in trial.parts for run in part),
        untried_because=untried if trial is None else "",
        seconds=round(time.monotonic() - began, 2),
        notes=(*known, *shard_notes(resolved, tokens)),
    )


def _forecast(
    trial: Trial, asked: Request, corpus: CorpusSample, prepared: PreparePlan, *, encoded_a_second: float
) -> RunForecast:
    """What the whole job takes, by its short runs."""
    return forecast_run(
        trial.parts,
        text_bytes=corpus.text_bytes.value,
        is_whole=trial.is_whole,
        longest_document=corpus.longest_document,
        budget=prepared.budget,
        rows_differ=any(source.kind == "parquet" for source in asked.sources),
        encoded_a_second=encoded_a_second,
        beginnings_only=corpus.from_start and any(source.kind == "jsonl" for source in asked.sources),
    )
