"""check_budget.py RESULT [--reload]: enter a budget of 160 MiB, and write what was seen to RESULT as JSON.

Runs in the guest. Nothing is judged here; test_cgroup_v2.py does that. --reload: let systemd read its units again
while inside, as any package installation does.
"""

import json
import mmap
import os
import subprocess
import sys
import time
from pathlib import Path

from oomguard.errors import OomguardError
from oomguard.kernel.cgroup.directory import find_own_cgroup
from oomguard.kernel.machine import read_headroom
from oomguard.supervision.own_budget import OwnCgroup, enter_cgroup

MIB = 1 << 20
BUDGET, KNOWN, FILE = 160 * MIB, 100 * MIB, 64 * MIB


def watch(budget: OwnCgroup) -> dict[str, object]:
    memcg = find_own_cgroup()
    assert memcg is not None
    facts: dict[str, object] = {
        "kind": budget.kind,
        "path": str(budget.path),
        "inside": str(memcg.path),
        "memory_max": [budget.memory_max, memcg.memory_max(), memcg.swap_max()],
        "oom_group": memcg.read("memory.oom.group"),
        "caveats": budget.caveats,
    }
    before = budget.unreclaimable()
    held = mmap.mmap(-1, KNOWN, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for page in range(0, KNOWN, mmap.PAGESIZE):
        held[page] = 1
    facts["known"] = [KNOWN, budget.unreclaimable() - before]
    held.close()

    before, cache_before = budget.unreclaimable(), memcg.memory_stat().file or 0
    scratch = Path(f"/var/tmp/check-{os.getpid()}")
    with scratch.open("wb") as file:
        for _ in range(FILE // MIB):
            file.write(bytes(MIB))
        file.flush()
        os.fsync(file.fileno())
    facts["cache"] = [FILE, (memcg.memory_stat().file or 0) - cache_before, budget.unreclaimable() - before]
    scratch.unlink()

    if "--reload" in sys.argv:
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        time.sleep(0.5)
    facts["max_after_reload"] = memcg.memory_max()

    worker = os.fork()
    if worker == 0:
        Path("/proc/self/oom_score_adj").write_text("1000")
        pieces = [b"x" * MIB for _ in range(2 * BUDGET // MIB)]
        os._exit(len(pieces) % 256)
    status = os.waitpid(worker, 0)[1]
    facts["killed_by"] = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    facts["oom_kills"] = budget.oom_kills()
    facts["peak"] = budget.peak_charged()
    room = read_headroom()
    facts["headroom"] = [room.available, room.limited_by]
    return facts


def main() -> None:
    result = Path(sys.argv[1])
    before = Path("/proc/self/cgroup").read_text()
    facts: dict[str, object] = {"uid": os.getuid(), "before": before, "kernel": os.uname().release}
    started = time.perf_counter()
    try:
        with enter_cgroup(BUDGET) as budget:
            facts["enter_seconds"] = time.perf_counter() - started
            facts |= watch(budget)
        facts["gone"] = not budget.path.exists()
    except OomguardError as error:
        facts |= {"error": type(error).__name__, "what": str(error), "do": error.do}
    facts["back"] = Path("/proc/self/cgroup").read_text() == before
    result.write_text(json.dumps(facts))


main()
