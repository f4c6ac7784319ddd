"""What a job takes on a cluster, from what was measured of it here: nodes are taken to be like this machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oomguard.kernel.machine import usable_cpus
from oomguard.preparation.cluster.units import UNIT_BYTES
from oomguard.preparation.model import show_duration
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.estimation.run_forecast import RunForecast
    from oomguard.preparation.reading.source import Source

_DOCUMENT_END = 8  # bytes of one in a part


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterAsked:
    """A cluster that is thought of."""

    engine: str
    nodes: int
    cpus: int = field(default_factory=usable_cpus)  # of a node


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlan:
    """A job in units on several nodes. Sizes in bytes; None: nothing was tried."""

    engine: str
    nodes: int
    tasks_per_node: int
    units: int
    largest_unit: int  # its text, about
    memory_per_node: int  # budgets of its tasks
    parts: int  # on disk beside the shards, at most, until these are written
    seconds: float | None  # to encode all units
    copied: int  # read from parts and written to shards, at most

    def rows(self) -> list[tuple[str, str]]:
        """For people."""
        tasks = "1 task" if self.tasks_per_node == 1 else f"{self.tasks_per_node} tasks"
        units = f"about {self.units:,}, of {format_size(UNIT_BYTES)} of text at most"
        if self.largest_unit > UNIT_BYTES:
            largest = format_size(self.largest_unit)
            units = f"about {self.units:,}; the largest is a file that cannot be divided, about {largest} of text"
        time = "not tried" if self.seconds is None else f"{show_duration(self.seconds)} to encode"
        return [
            ("nodes", f"{self.nodes:,} ({self.engine}), {tasks} each, if they are like this machine"),
            ("units", units),
            ("a node", f"{format_size(self.memory_per_node)} of memory for its tasks"),
            ("in all", f"{time}; then {format_size(self.copied)} is read from units and written to shards"),
        ]

    def notes(self) -> list[str]:
        """What else to know."""
        twice = "the disk must hold the tokens twice until the shards are written"
        notes = [f"{twice}; units are removed as shards are finished"]
        tasks = self.nodes * self.tasks_per_node
        if self.units < tasks:
            busy = f"{self.units:,} units keep {self.units:,} of {tasks:,} tasks busy"
            notes.append(f"{busy}: fewer nodes would be just as fast")
        return notes


def plan_cluster(
    asked: ClusterAsked,
    sources: Sequence[Source],
    *,
    text_bytes: int,
    tokens: int,
    documents: int,
    token_bytes: int,
    shard_bytes: int,
    workers: int,
    budget: int,
    forecast: RunForecast | None,
    encoded_a_second: float | None = None,
) -> ClusterPlan:
    """Divide the work among nodes; the forecast is that of one task, alone here.

    `encoded_a_second`: bytes of text that a worker encodes, for where nothing was tried.
    """
    on_disk = sum(source.size or 0 for source in sources)
    stretch = text_bytes / on_disk if on_disk else 1.0
    sizes = [(source, (source.size or 0) * stretch) for source in sources]
    whole = [size for source, size in sizes if source.compression is not None or source.encoding]
    cut = [size for source, size in sizes if source.compression is None and not source.encoding]
    units = len(whole) + sum(max(1, -int(-size // UNIT_BYTES)) for size in cut)
    largest = int(max([*whole, *(min(size, UNIT_BYTES) for size in cut)], default=0))
    per_node = max(1, asked.cpus // workers)
    seconds, rate, start = None, (encoded_a_second or 0.0) * workers, 0.0
    if forecast is not None and forecast.bytes_per_second:
        rate, start = float(forecast.bytes_per_second), forecast.start_seconds
    if rate:
        tasks = min(asked.nodes * per_node, max(1, units))
        starting = start * -(-units // tasks)
        seconds = round(max(text_bytes / (rate * tasks), largest / rate) + starting, 1)
    return ClusterPlan(
        engine=asked.engine,
        nodes=asked.nodes,
        tasks_per_node=per_node,
        units=units,
        largest_unit=largest,
        memory_per_node=per_node * budget,
        parts=tokens * token_bytes + documents * _DOCUMENT_END,
        seconds=seconds,
        copied=shard_bytes,
    )
