"""`oomguard plan`: how to do a preparation job here, measured on the input itself."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import edge
from oomguard.estimation.baselines import naive_ways
from oomguard.estimation.cluster_plan import ClusterAsked, plan_cluster
from oomguard.estimation.model import JobPlan, server_needs
from oomguard.estimation.needs import check_longest, disk_needed, shard_notes, tokens_with_ends
from oomguard.estimation.run_forecast import RunForecast, forecast_run
from oomguard.estimation.trials import job_command, try_some
from oomguard.kernel.machine import read_headroom
from oomguard.preparation.api import plan_prepare
from oomguard.preparation.options import PrepareOptions, resolve_options
from oomguard.preparation.reading.corpus_sample import Estimate, sample_corpus
from oomguard.preparation.reading.sources import find_inputs

if TYPE_CHECKING:
    from oomguard.preparation.model import PreparePlan

_FAST = 1e9  # bytes of text a second, where encoding took no time that could be told
_UNTRIED = "--no-calibration"


@edge
def plan(
    options: PrepareOptions,
    *,
    max_rss: int | None = None,
    calibrate: bool = True,
    cluster: ClusterAsked | None = None,
) -> JobPlan:
    """Estimate what preparing `options.inputs` here takes: tokens, disk, workers, peak and time; and the alternatives.

    It reads a sample, and (`calibrate`) does the job on a small input, or on parts of a larger one, in a temporary
    folder beside the output. With `cluster`, budget, workers and forecast are those of one task.
    Raises: OomguardError as `prepare` would; BudgetTooSmall names the least budget.
    """
    if cluster is not None:
        options = replace(options, workers=options.workers or 1)
    prepared = plan_prepare(options, max_rss=max_rss)
    resolved = resolve_options(options)
    sources = find_inputs(options.inputs, folder=Path(), exclude=options.out, wanted=resolved.wanted).sources
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
        forecast = forecast_run(
            trial.parts,
            text_bytes=corpus.text_bytes.value,
            is_whole=trial.is_whole,
            longest_document=corpus.longest_document,
            budget=prepared.budget,
            rows_differ=any(source.kind == "parquet" for source in sources),
            encoded_a_second=rate,
            beginnings_only=corpus.from_start and any(source.kind == "jsonl" for source in sources),
        )
        if trial.is_whole:
            counted = trial.parts[0][0].tokens
            tokens = Estimate(value=counted, low=counted, high=counted)
            needed = disk_needed(tokens, corpus, resolved, options)
    room = read_headroom()
    on_cluster = None
    if cluster is not None:
        on_cluster = plan_cluster(
            cluster, sources, text_bytes=corpus.text_bytes.value, tokens=tokens.high,
            documents=corpus.tokens_with_ends.high - corpus.tokens.high, token_bytes=resolved.spec.token_bytes,
            shard_bytes=needed, workers=options.workers or 1, budget=prepared.budget, forecast=forecast,
            encoded_a_second=1 / corpus.seconds_to_encode if corpus.seconds_to_encode else None,
        )  # fmt: skip
        needed += on_cluster.parts
    return JobPlan(
        prepare=prepared,
        corpus=corpus,
        tokens=tokens,
        disk_needed=needed,
        forecast=forecast,
        tried=() if trial is None else tuple(run for part in trial.parts for run in part),
        untried_because=untried if trial is None else "",
        calibration_seconds=round(time.monotonic() - began, 2),
        naive=tuple(naive_ways(corpus.shape, text_bytes=corpus.text_bytes.value, available=room.available)),
        available=room.available,
        available_limited_by=room.limited_by,
        command=job_command(options, max_rss, options.inputs, options.out)
        if cluster is None
        else job_command(
            options, None, options.inputs, options.out, "--cluster", cluster.engine, "--max-rss",
            f"{prepared.budget >> 20}M",
        ),
        notes=(
            *_known_notes(prepared),
            *shard_notes(resolved, tokens),
            *(_exactly(tokens, forecast) if on_cluster is None else on_cluster.notes()),
        ),
        servers=server_needs(sources, text_bytes=corpus.text_bytes.value, in_units=cluster is not None),
        cluster=on_cluster,
    )  # fmt: skip


def _known_notes(prepared: PreparePlan) -> list[str]:
    """What `prepare` says when it begins, but for what it guesses of the tokens: here they are known better."""
    return [note for note in prepared.notes if "nothing would be left to train on" not in note]


def _exactly(tokens: Estimate, forecast: RunForecast | None) -> list[str]:
    """Where counting is quicker than reading about it."""
    if tokens.low == tokens.high or forecast is None:
        return []
    return [f"the tokens are estimated; prepare counts them, in about {forecast.seconds:.1f} s"]


__all__ = ["ClusterAsked", "plan"]
