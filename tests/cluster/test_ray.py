"""A real Ray of three nodes on this machine: nodes and workers end in the middle, and the shards are the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.cluster.conftest import inputs, shards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("ray"), pytest.mark.filterwarnings("ignore")]
STORE, MEMORY = 80_000_000, 2 << 30


@pytest.fixture
def cluster() -> Iterator[Any]:
    os.environ.update(RAY_AUTH_MODE="disabled", RAY_USAGE_STATS_ENABLED="0")
    pytest.importorskip("ray")
    utils: Any = pytest.importorskip("ray.cluster_utils")
    sizes = {"num_cpus": 1, "object_store_memory": STORE, "memory": MEMORY}
    ours = utils.Cluster(initialize_head=True, head_node_args={**sizes, "include_dashboard": False})
    ours.extra = [ours.add_node(**sizes) for _ in range(2)]
    ours.wait_for_nodes()
    yield ours
    ours.shutdown()


def command(corpus: Path, out: Path, address: str, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "oomguard", "prepare", *inputs(corpus), "--out", str(out), "--format", "npy",
        "--shard-tokens", "200000", "--unit-size", "150K", "--cluster", "ray", "--ray-address", address,
        "--max-rss", "200M", *more,
    ]  # fmt: skip


def when_parts(out: Path, count: int) -> None:
    until = time.monotonic() + 120
    while len(list((out / ".oomguard/parts").glob("*.part"))) < count:
        assert time.monotonic() < until
        time.sleep(0.05)


def remove_a_node(cluster: Any, _: subprocess.Popen[str]) -> None:
    cluster.remove_node(cluster.extra[0])


def kill_a_unit(_: Any, __: subprocess.Popen[str]) -> None:
    """The process that encodes, below a Ray worker."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if "work" in words and "--unit" in words and "oomguard" in words:
                process.kill()
                return
        time.sleep(0.02)
    raise TimeoutError


def kill_the_driver(_: Any, driver: subprocess.Popen[str]) -> None:
    driver.send_signal(signal.SIGKILL)


@pytest.mark.parametrize(
    "fault",
    [
        remove_a_node,
        *(pytest.param(fault, marks=pytest.mark.slow) for fault in (None, kill_a_unit, kill_the_driver)),
    ],
)
def test_the_shards_are_those_of_one_machine(
    corpus: Path, cluster: Any, tmp_path: Path, fault: Callable[[Any, subprocess.Popen[str]], None] | None
) -> None:
    out = tmp_path / "out"
    line = command(corpus, out, cluster.address)
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as driver:
        if fault is not None:
            when_parts(out, 3)
            fault(cluster, driver)
        _, errors = driver.communicate(timeout=240)
    if fault is kill_the_driver:
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=240)
        assert done.returncode == 0, done.stderr
    else:
        assert driver.returncode == 0, errors
    assert shards(out) == shards(corpus / "alone")


def test_only_numbers_pass_through_ray() -> None:
    pickle = pytest.importorskip("ray.cloudpickle")
    from oomguard.preparation.cluster.ray_worker import TOLD, run_there

    words = ("work", "/shared/" + "x" * 4000, "--unit", "1000000", "--workers", "64", "--quiet")
    assert len(pickle.dumps((run_there, words, 1 << 40))) < 10_000
    assert len(pickle.dumps({"what": "\N{GRINNING FACE}" * TOLD, "node": "x" * 56, "seconds": 1.0})) < 10_000
