"""The units of a job as Ray tasks: each is `oomguard work` in a process of its own, under its own budget.

Only numbers pass through Ray: a task is given a unit's number and gives back what became of it. Ray retries nothing:
what it would repeat blindly is put in the queue again here, with what was learned.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput, MissingExtra, Stopped, WorkerFailed
from oomguard.kernel.process import stop_on_signals
from oomguard.preparation.cluster.job_file import shown_path
from oomguard.preparation.cluster.job_place import absolute
from oomguard.preparation.cluster.ray_worker import TOLD, look_there, run_there
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from oomguard.preparation.cluster.job_file import JobFile

_ATTEMPTS = 3  # of a unit whose node or worker was lost
_WIDENINGS = 3  # times that the budget of a unit is doubled
_WAIT_SECONDS = 1.0
_LOOK_SECONDS = 120.0  # for a node to look at the folder; one that is slower is looked at by its first unit


@dataclass(frozen=True, slots=True, kw_only=True)
class RayOptions:
    """How to run on Ray. `max_rss` in bytes, of one task."""

    address: str | None = None  # None: what RAY_ADDRESS says, or a cluster here, or a new one on this machine
    max_rss: int
    workers: int = 1  # processes of a task that encode
    tasks: int | None = None  # at a time; None: as many as the cluster has room for


@dataclass(slots=True, kw_only=True)
class ClusterState:
    """What a progress display shows."""

    units: int
    what: str = "units"
    done: int = 0
    failed: int = 0
    running: int = 0
    input_bytes: int = 0
    peak: int = 0  # bytes of memory, of the unit that took most
    nodes: set[str] = field(default_factory=set)
    slowest: tuple[int, float] = (-1, 0.0)  # a unit and its seconds
    failures: dict[int, str] = field(default_factory=dict)
    lost: int = 0  # tasks whose worker or node ended
    waits_for: str = ""  # what no node of the cluster has, so that nothing runs


@dataclass(slots=True)
class _Try:
    unit: int  # or the number of a share of the shards
    words: tuple[str, ...]  # what oomguard is told
    max_rss: int
    lost: int = 0
    widened: int = 0


def do_on_ray(
    job: JobFile, path: Path, options: RayOptions, *, on_state: Callable[[ClusterState], None] = lambda _: None
) -> ClusterState:
    """Do all units that are not done, then write the shards, but for the last note of them, which `finish` makes.

    Raises: MissingExtra without Ray; BadInput if there is no such cluster, or a node sees another folder; Stopped on a
    signal, after the tasks were ended; WorkerFailed if units failed for good, when all others are done.
    """
    ray = _import_ray()
    missing, whole = job.missing(), absolute(path)
    shown = shown_path(path)
    state = ClusterState(units=len(job.units), done=len(job.units) - len(missing))
    own = not ray.is_initialized()
    if own:
        _connect(ray, options.address)
    try:
        if missing:
            _require_shared(ray, job, path)
        workers = ("--workers", str(options.workers), "--quiet")
        tries = (_Try(unit, ("work", whole, "--unit", str(unit), *workers), options.max_rss) for unit in missing)
        _run(ray, deque(tries), options, state, on_state)
        _require_success(state, lambda unit: f"oomguard work {shown} --unit {unit}")
        shares = 0 if job.is_finished else job.shares(int(ray.cluster_resources().get("CPU", 1)))
        if shares > 1:
            shards = ClusterState(units=shares, what="shares of the shards")
            words = ((number, ("finish", whole, "--part", f"{number}/{shares}")) for number in range(shares))
            tries = (_Try(number, each, options.max_rss) for number, each in words)
            _run(ray, deque(tries), replace(options, workers=1), shards, on_state)
            _require_success(shards, lambda share: f"oomguard finish {shown} --part {share}/{shares}")
    finally:
        if own:
            ray.shutdown()
    return state


def _require_success(state: ClusterState, command: Callable[[int], str]) -> None:
    """Raises: WorkerFailed with the first that failed for good, and the command that does it."""
    if state.failures:
        unit, what = next(iter(state.failures.items()))
        more = f" ({len(state.failures) - 1:,} more failed)" if len(state.failures) > 1 else ""
        one = "unit" if state.what == "units" else "share"
        raise WorkerFailed(f"{one} {unit}: {what}{more}; all other {state.what} are done", do=command(unit))


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("--cluster ray", extra="ray") from error
    return ray


def _connect(ray: Any, address: str | None) -> None:
    asked = address or os.environ.get("RAY_ADDRESS")
    try:
        try:
            ray.init(address=asked or "auto", log_to_driver=False, logging_level="ERROR")
        except ConnectionError:
            if asked:
                raise
            ray.init(log_to_driver=False, logging_level="ERROR", include_dashboard=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise BadInput(
            f"no Ray cluster at {asked or 'this machine'}: {error}", do="ray start --head, or --ray-address HOST:PORT"
        ) from error


def _require_shared(ray: Any, job: JobFile, path: Path) -> None:
    """See to it that every node with CPUs reads back what the plan wrote into the folder, before anything runs.

    Raises: BadInput with the first node that does not.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    job.require_same_folder()
    look = ray.remote(max_retries=0, num_cpus=0)(look_there)
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    looks = {}
    for node in nodes:
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        looks[look.options(scheduling_strategy=there).remote(absolute(path))] = node
    ready, _ = ray.wait(list(looks), num_returns=len(looks), timeout=_LOOK_SECONDS) if looks else ([], [])
    for ref in ready:
        name = looks[ref].get("NodeManagerHostname") or looks[ref]["NodeID"]
        try:
            said = ray.get(ref)
        except ray.exceptions.RayTaskError as error:
            cause = " ".join(str(error.cause).split())[:TOLD]
            raise BadInput(
                f"Ray node {name} cannot run oomguard: {cause}", do="pip install 'oomguard[ray]' on all nodes"
            ) from error
        except ray.exceptions.RayError:
            continue  # the node has just ended
        if said:
            raise BadInput(f"Ray node {name}: {said[0]}", do=said[1])


def _run(
    ray: Any,
    waiting: deque[_Try],
    options: RayOptions,
    state: ClusterState,
    on_state: Callable[[ClusterState], None],
) -> None:
    task = ray.remote(max_retries=0)(run_there)
    running: dict[Any, _Try] = {}
    with stop_on_signals() as asked:
        while waiting or running:
            if (name := asked()) is not None:
                for ref in running:
                    ray.cancel(ref, force=True)
                stopped = Stopped(
                    f"by {name}: {state.done:,} of {state.units:,} {state.what} are done and kept",
                    do="run the same command again: it does the others",
                )
                stopped.exit_status = 128 + signal.Signals[name]
                raise stopped
            window = options.tasks or _room(ray, options)
            while waiting and len(running) < window:
                each = waiting.popleft()
                placed = task.options(num_cpus=options.workers, memory=each.max_rss)
                running[placed.remote(each.words, each.max_rss)] = each
            state.running = len(running)
            state.waits_for = _lacking(ray, options, running.values())
            on_state(state)
            ready, _ = ray.wait(list(running), num_returns=1, timeout=_WAIT_SECONDS)
            for ref in ready:
                _take(ray, ref, running.pop(ref), waiting, state, largest=_largest(ray, "memory"))
        state.running = 0
        on_state(state)


def _room(ray: Any, options: RayOptions) -> int:
    """How many tasks there is room for, and one to wait."""
    cpus = int(ray.cluster_resources().get("CPU", 1))
    return max(1, cpus // options.workers) + 1


def _largest(ray: Any, resource: str) -> float:
    """The most of a resource that one node has."""
    return max((node["Resources"].get(resource, 0.0) for node in ray.nodes() if node["Alive"]), default=0.0)


def _lacking(ray: Any, options: RayOptions, running: Iterable[_Try]) -> str:
    """What no node has of what tasks ask for; a node that has it may still come."""
    asked = {"CPU": options.workers, "memory": max((each.max_rss for each in running), default=0)}
    for resource, amount in asked.items():
        most = _largest(ray, resource)
        if amount > most:
            needed, there = (amount, int(most)) if resource == "CPU" else (format_size(amount), format_size(most))
            return f"a node with {needed} {'CPUs' if resource == 'CPU' else 'of memory'} (the largest has {there})"
    return ""


def _take(ray: Any, ref: Any, each: _Try, waiting: deque[_Try], state: ClusterState, *, largest: float) -> None:
    try:
        said: dict[str, Any] = ray.get(ref)
    except ray.exceptions.RayError as error:
        _lost(each, type(error).__name__, waiting, state)
        return
    state.nodes.add(said["node"])
    if said["ok"]:
        state.done += 1
        state.input_bytes += said["input_bytes"]
        state.peak = max(state.peak, said["peak_unreclaimable"])
        if said["seconds"] > state.slowest[1]:
            state.slowest = each.unit, said["seconds"]
    elif said["was_killed"]:
        _lost(each, said["what"], waiting, state)
    elif said["needs_more"] and each.widened < _WIDENINGS and largest > each.max_rss:
        # No more than a node has: it is then alone there. A task that asks for more would wait for ever.
        each.widened += 1
        each.max_rss = min(2 * each.max_rss, int(largest) // MIB * MIB)
        waiting.append(each)
    else:
        state.failures[each.unit] = said["what"]
    state.failed = len(state.failures)


def _lost(each: _Try, why: str, waiting: deque[_Try], state: ClusterState) -> None:
    """What a unit did not do itself: it is done again, a few times."""
    state.lost += 1
    each.lost += 1
    if each.lost < _ATTEMPTS:
        waiting.append(each)
    else:
        state.failures[each.unit] = f"its worker ended {_ATTEMPTS} times ({why})"
        state.failed = len(state.failures)
