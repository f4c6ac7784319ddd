"""The kernel's OOM killer among the helpers of a run: the coordinator lives on, and nothing is lost."""

import json
from pathlib import Path

import pytest

from tests.live.test_budget import MIB, budgets_left, cgroup_of, english, unreclaimable
from tests.running import children_of, job_of, run_oomguard, started, wait_until

pytestmark = [pytest.mark.live, pytest.mark.pairs]

SLOW = ("--verify", "full", "--workers", "1", "--val-fraction", "0", "--json")


def limit_file(cgroup: Path) -> Path:
    v2 = cgroup / "memory.max"
    return v2 if v2.exists() else cgroup / "memory.limit_in_bytes"


def oom_kills(cgroup: Path) -> int:
    for name in ("memory.events", "memory.oom_control"):
        if (cgroup / name).exists():
            return sum(
                int(line.split()[1])
                for line in (cgroup / name).read_text().splitlines()
                if line.startswith("oom_kill ")
            )
    return 0


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text(english(32 * MIB))
    return tmp_path / "text.txt"


def test_an_encoder_that_the_kernel_ends_is_repeated(tmp_path: Path, text: Path) -> None:
    """Somebody lowers the limit from outside for a moment; the shards are those of a calm run."""
    calm = json.loads(
        run_oomguard("prepare", text.name, "--val-fraction", "0", "--json", "--out", "calm", cwd=tmp_path).stdout
    )
    with started("run", "--max-rss", "400M", "prepare", text.name, *SLOW, cwd=tmp_path, piece_bytes=1 << 18) as run:
        wait_until(lambda: list((tmp_path / "tokens").glob(".oomguard/*.partial")))
        cgroup = cgroup_of(job_of(run).pid)
        victim = children_of(run)[0]
        before = limit_file(cgroup).read_text()
        squeeze(cgroup)
        wait_until(lambda: oom_kills(cgroup) >= 1 or not victim.is_running())
        limit_file(cgroup).write_text(before)
        output, errors = run.communicate(timeout=120)
    assert run.returncode == 0, errors
    result = json.loads(output)
    assert result["shards"] == calm["shards"]
    assert result["restarted_workers"] >= 1
    assert list(budgets_left()) == []


def squeeze(cgroup: Path) -> None:
    """Lower the limit below what is held: v2 ends a process at once, v1 takes the lowest that it can reach."""
    limit = unreclaimable(cgroup) - 4 * MIB
    while True:
        try:
            limit_file(cgroup).write_text(str(limit))
        except OSError:
            limit += MIB // 4
        else:
            return


def test_a_limit_that_stays_too_small_ends_the_run_with_what_would_do(tmp_path: Path, text: Path) -> None:
    """No encoder can start any more. The coordinator says so and keeps what was done; the next run goes on."""
    with started("run", "--max-rss", "400M", "prepare", text.name, *SLOW, cwd=tmp_path, piece_bytes=1 << 18) as run:
        wait_until(lambda: list((tmp_path / "tokens").glob(".oomguard/*.partial")))
        coordinator = job_of(run)
        cgroup = cgroup_of(coordinator.pid)
        coordinator.suspend()  # so that the next encoder starts when the limit is there
        children_of(run)[0].kill()
        wait_until(lambda: unreclaimable(cgroup) < 40 * MIB)
        limit_file(cgroup).write_text(str(45 * MIB))
        coordinator.resume()
        _, errors = run.communicate(timeout=120)
    assert run.returncode == 1, errors
    assert "error: text.txt: byte " in errors
    assert "do not fit in the budget" in errors
    assert "--max-rss" in errors
    done = run_oomguard("prepare", text.name, "--val-fraction", "0", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "resuming after" in done.stderr
    fresh = run_oomguard("prepare", text.name, "--val-fraction", "0", "--json", "--out", "calm", cwd=tmp_path)
    assert json.loads(done.stdout)["shards"] == json.loads(fresh.stdout)["shards"]
    assert list(budgets_left()) == []
