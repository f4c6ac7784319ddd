"""A process that passes the limit of its cgroup here and now: `oomguard diagnose` names it from this machine's log."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from oomguard.kernel.logs.sources import kernel_kills_since, survey_sources
from tests.live.test_own_cgroup import facts_of, start
from tests.running import run_oomguard

pytestmark = pytest.mark.live

MIB = 1 << 20
JOB = """
budget = enter_cgroup(64 * MIB)
Path("/proc/self/comm").write_text(sys.argv[1])
say(path=str(budget.path))
held = [fill(MIB) for _ in range(256)]
"""


def test_a_kill_is_named_seconds_later(tmp_path: Path) -> None:
    if all(source.unread for source in survey_sources() if source.covers == "this boot"):
        pytest.skip("this machine's kernel log may not be read; run it as root on the host")
    began = time.time()
    name = f"job {os.getpid() % 100000}"
    with start(JOB, name) as process:
        facts = facts_of(process)
        assert process.wait(120) == -signal.SIGKILL
        pid = process.pid
    Path(str(facts["path"])).rmdir()
    run = run_oomguard("diagnose", "--name", name, "--since", "5min", "--json", cwd=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    answer = json.loads(run.stdout)
    assert (answer["verdict"], answer["killer"], answer["cause"]) == ("proved", "kernel", "memcg")
    (event,) = answer["events"]
    (victim,) = event["victims"]
    assert (victim["pid"], victim["name"], victim["uid"]) == (pid, name, os.getuid())
    assert victim["anon_rss"] + victim["file_rss"] > 50 * MIB
    assert event["memcg_limit"] == 64 * MIB
    assert event["oom_memcg"].endswith(Path(str(facts["path"])).name)
    assert event["cause"]["filled_by"] == "anon"
    assert pid in {victim.pid for kill in kernel_kills_since(began) for victim in kill.victims}
