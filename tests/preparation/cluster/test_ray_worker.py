"""What the driver says of a share that failed, without a cluster."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from oomguard.errors import WorkerFailed
from oomguard.preparation.cluster import ray_tasks
from tests.preparation.cluster.test_job import planned

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("what", "said"), [("shares of the shards", "finish {} --part 3/4"), ("units", "work {} --unit 3")]
)
def test_the_command_that_does_what_failed_can_be_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, said: str
) -> None:
    folder = tmp_path / "of mine"
    folder.mkdir()
    (folder / "b.jsonl").write_text('{"text": "a"}\n' * 9)
    _, job = planned(folder, ("b.jsonl",), 30, format="npy", shard_tokens=1)

    def run(_: Any, tries: Any, __: Any, state: ray_tasks.ClusterState, ___: Any) -> None:
        if state.what == what:
            state.failures[3] = "no"

    ray = SimpleNamespace(is_initialized=lambda: True, cluster_resources=lambda: {"CPU": 4})
    monkeypatch.setattr(ray_tasks, "_import_ray", lambda: ray)
    monkeypatch.setattr(ray_tasks, "_require_shared", lambda *_: None)
    monkeypatch.setattr(ray_tasks, "_run", run)
    with pytest.raises(WorkerFailed) as caught:
        ray_tasks.do_on_ray(job, folder / "job.json", ray_tasks.RayOptions(max_rss=1 << 28))
    assert caught.value.do == "oomguard " + said.format(f"'{folder}/job.json'")
