"""A process that passes the limit of its cgroup here and now: `oomguard diagnose` names it from this machine's log."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from oomguard.kernel.logs.sources import kernel_kills_since, survey_sources
from tests.live.containers import container
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


# In the namespaces of a container, with its own view of the cgroups, and no log of the kernel's: then the kill, then the question.
IN_A_CONTAINER = """
mount --make-rprivate / && mount -t tmpfs none /var/log && mount --bind /dev/null /dev/kmsg || exit 77
if [ "$1" = mounted ]; then
  umount -l /sys/fs/cgroup/memory && mount -t cgroup -o memory none /sys/fs/cgroup/memory || exit 77
fi
"$2" -c 'held = [b"x" * (1 << 20) for _ in range(300)]'
[ $? = 137 ] || exit 78
PATH=/usr/bin:/bin exec "$2" -m oomguard diagnose --json
"""


@pytest.mark.parametrize("view", ["mounted", "from outside"])
def test_in_a_container_its_own_counters_tell_of_a_kill(tmp_path: Path, view: str) -> None:
    """Docker mounts the cgroups anew; `unshare -C` alone leaves the host's mount, in which one's own place is below."""
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("needs root and unshare (util-linux)")
    with container(150 * MIB) as box:
        names = ["unshare", "-C", "-m", "-p", "-f", "--mount-proc", "sh", "-c", IN_A_CONTAINER]
        run = box.run([*names, "sh", view, sys.executable], tmp_path)
    if run.returncode == 77 or "unshare" in run.stderr:
        pytest.skip(f"namespaces and mounts are not allowed here: {run.stderr[:200]}")
    assert run.returncode == 0, run.stdout + run.stderr
    answer = json.loads(run.stdout)
    assert (answer["verdict"], answer["killer"]) == ("likely", "kernel")
    assert answer["counters"]["oom_kills"] >= 1
    assert "which this shell is in" in answer["counters"]["text"]
    assert "150 MiB" in answer["counters"]["limit_text"]
    assert any("on the host" in (step["command"] or "") for step in answer["advice"])
