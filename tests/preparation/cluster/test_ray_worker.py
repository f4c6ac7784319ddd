"""What the driver says of a share that failed, without a cluster."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from oomguard.cli import work
from oomguard.errors import BadInput, BudgetTooSmall, WorkerFailed
from oomguard.preparation.cluster import ray_tasks, ray_worker
from tests.preparation.cluster.test_job import planned

if TYPE_CHECKING:
    from oomguard.errors import OomguardError


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


@pytest.mark.parametrize(("error", "widens"), [(BudgetTooSmall, True), (BadInput, False)])
@pytest.mark.parametrize("part", [None, (1, 4)])
def test_a_share_that_needs_more_memory_says_so(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: type[OomguardError],
    widens: bool,
    part: tuple[int, int] | None,
) -> None:
    """What the command prints there is what the worker reads."""

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert command[4:6] == ["finish", "job.json"]
        with pytest.raises(error):
            work._finish(Path("job.json"), part, keep_parts=False, as_json=True)
        return subprocess.CompletedProcess(command, 1, capsys.readouterr().out, "")

    def fail(*_: Any, **__: Any) -> None:
        raise error("200 MiB are too few", do="--max-rss 300M")

    for name in ("finish", "finish_share"):
        monkeypatch.setattr(f"oomguard.preparation.cluster.api.{name}", fail)
    monkeypatch.setattr("oomguard.preparation.cluster.api.read_job", lambda path: path)
    monkeypatch.setattr(subprocess, "run", run)
    node = SimpleNamespace(get_node_id=lambda: "n")
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get_runtime_context=lambda: node))
    said = ray_worker.run_there(("finish", "job.json"), 1 << 28)
    assert said["needs_more"] is widens
    assert said["what"] == "200 MiB are too few; try: --max-rss 300M"
    assert not said["ok"]
