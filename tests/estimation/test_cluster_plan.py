"""What a job takes on several nodes: told before it runs, and near to what its plan then has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from oomguard.estimation import cluster_plan
from oomguard.estimation.cluster_plan import ClusterAsked, plan_cluster
from oomguard.estimation.run_forecast import RunForecast
from oomguard.preparation.cluster.units import cut_units
from oomguard.preparation.options import PrepareOptions
from oomguard.preparation.reading.sources import find_sources
from oomguard.preparation.resolving import resolve_options
from tests.preparation.cluster.test_job import make

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from oomguard.preparation.reading.source import Source

SIZE = 40_000


def forecast(rate: float) -> RunForecast:
    return RunForecast(
        peak=1, peak_low=1, peak_high=1, seconds=1, seconds_low=1, seconds_high=1, seconds_beside_others=1, bytes_per_second=rate,
        start_seconds=2.0, tried_whole=False,
    )  # fmt: skip


def planned(sources: Sequence[Source], nodes: int, **more: Any) -> cluster_plan.ClusterPlan:
    facts: dict[str, Any] = {
        "text_bytes": sum(source.size or 0 for source in sources), "tokens": 1000, "documents": 10, "token_bytes": 2,
        "shard_bytes": 2000, "workers": 1, "budget": 1 << 30, "forecast": forecast(1000.0),
    } | more  # fmt: skip
    return plan_cluster(ClusterAsked(engine="ray", nodes=nodes, cpus=4), sources, **facts)


def test_units_are_about_as_many_as_the_plan_of_the_job_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_plan, "UNIT_BYTES", SIZE)
    make(tmp_path)
    for name in ("a.txt", "b.jsonl", "d.jsonl.gz"):
        options = PrepareOptions(inputs=(str(tmp_path / name),))
        sources = find_sources(options.inputs, folder=tmp_path, exclude=None)
        real = len(list(cut_units(sources, options, resolve_options(options), size=SIZE)))
        assert abs(planned(sources, 1).units - real) <= max(1, real // 10)


def test_more_nodes_take_less_time_until_units_run_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_plan, "UNIT_BYTES", SIZE)
    make(tmp_path)
    sources = find_sources((str(tmp_path / "a.txt"),), folder=tmp_path, exclude=None)
    times = [planned(sources, nodes, workers=4).seconds or 0.0 for nodes in (1, 2, 1000, 2000)]
    assert times[0] > times[1] > times[2] == times[3] >= SIZE / 1000.0
    assert not any("busy" in note for note in planned(sources, 1).notes())
    assert any("busy" in note for note in planned(sources, 1000).notes())
    assert planned(sources, 3).memory_per_node == 4 << 30
    assert planned(sources, 3, workers=2).tasks_per_node == 2
    assert planned(sources, 3, forecast=None).seconds is None


def test_a_file_that_cannot_be_divided_bounds_the_time(tmp_path: Path) -> None:
    make(tmp_path)
    sources = find_sources((str(tmp_path / "d.jsonl.gz"),), folder=tmp_path, exclude=None)
    plan = planned(sources, 100, text_bytes=10**9)
    assert plan.units == 1
    assert plan.largest_unit == 10**9
    assert (plan.seconds or 0) >= 10**6
    assert any("cannot be divided" in value for _, value in plan.rows())


@pytest.mark.slow
def test_plan_says_what_a_cluster_takes(oomguard: Any, tmp_path: Path) -> None:
    make(tmp_path)
    asked = ("plan", str(tmp_path / "a.txt"), "--out", str(tmp_path / "out"), "--max-rss", "300M", "--cluster", "slurm")
    told = json.loads(oomguard(*asked, "--nodes", "3", "--json").stdout)
    assert told["cluster"]["nodes"] == 3
    assert told["cluster"]["units"] == 1
    assert told["disk_needed"] > told["cluster"]["parts"] > told["tokens"]["value"] * 2
    assert told["command_line"].endswith("--cluster slurm --max-rss 300M")
    assert "nodes    3 (slurm)" in oomguard(*asked, "--nodes", "3").stdout
