"""`oomguard plan`: how to do a preparation job here, measured on the input itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from oomguard.errors import edge
from oomguard.estimation.baselines import naive_ways
from oomguard.estimation.cluster_plan import ClusterAsked, plan_cluster
from oomguard.estimation.measured import measure_job
from oomguard.estimation.model import JobPlan, server_needs
from oomguard.estimation.short_runs import job_command
from oomguard.kernel.machine import read_headroom

if TYPE_CHECKING:
    from oomguard.preparation.options import PrepareOptions


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
    job = measure_job(options, max_rss=max_rss, calibrate=calibrate)
    prepared, corpus, sources = job.prepared, job.corpus, job.asked.sources
    text_bytes, room = corpus.text_bytes.value, read_headroom()
    on_cluster = None
    if cluster is not None:
        on_cluster = plan_cluster(
            cluster, sources, text_bytes=text_bytes, tokens=job.tokens.high,
            documents=corpus.tokens_with_ends.high - corpus.tokens.high,
            token_bytes=job.asked.resolved.spec.token_bytes,
            shard_bytes=job.disk_needed, workers=options.workers or 1, budget=prepared.budget, forecast=job.forecast,
            encoded_a_second=1 / corpus.seconds_to_encode if corpus.seconds_to_encode else None,
        )  # fmt: skip
    return JobPlan(
        prepare=prepared,
        corpus=corpus,
        tokens=job.tokens,
        disk_needed=job.disk_needed + (on_cluster.parts if on_cluster is not None else 0),
        forecast=job.forecast,
        tried=job.tried,
        untried_because=job.untried_because,
        calibration_seconds=job.seconds,
        naive=tuple(naive_ways(corpus.shape, text_bytes=text_bytes, available=room.available)),
        available=room.available,
        available_limited_by=room.limited_by,
        command=job_command(options, max_rss, options.inputs, options.out)
        if cluster is None
        else job_command(
            options, None, options.inputs, options.out, "--cluster", cluster.engine, "--max-rss",
            f"{prepared.budget >> 20}M",
        ),
        notes=(*job.notes, *(job.time_to_count() if on_cluster is None else on_cluster.notes())),
        servers=server_needs(sources, text_bytes=text_bytes, in_units=cluster is not None),
        cluster=on_cluster,
    )  # fmt: skip


__all__ = ["ClusterAsked", "plan"]
