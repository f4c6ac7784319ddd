"""Programs that do their worst against a budget: what is over it, what the kernel kills, and which statuses come out.

`make overshoot`. On a cgroup nothing may be more than 10 MiB over the hard limit, and the kernel kills nobody outside
of the job's own. Polling cannot promise that: how far a program gets at each rate of growth is measured by its count.

    python -m benchmarks.overshoot_campaign --runs 1000 --minutes 60
"""

from __future__ import annotations

import argparse
import json
import mmap
import random
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from oomguard.kernel.cgroup.directory import find_own_memcg
from tests.live.run_cases import leftovers

MIB = 1 << 20
MOST_OVER = 10 * MIB
BUDGETS = (64, 80, 96, 128)
RATES = (10, 50, 200, 1000, 0)  # MiB a second; 0: as fast as it can


@dataclass(frozen=True, slots=True)
class Program:
    """A program for `python -c`, and the statuses that are right for it."""

    code: str
    right: tuple[int, ...]


_GROW = "held = [bytearray(b'x') * (1 << 20) for _ in range(400)]"
_IGNORES = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
PROGRAMS = {
    "grows": Program(_GROW, (137,)),
    "one block": Program("x = bytearray(b'x') * (400 << 20)", (137,)),
    # 0: v1 refused it the rest at the hard limit, which MAP_POPULATE does not tell, and it ended before it was seen.
    "populate": Program("import mmap; m = mmap.mmap(-1, 400 << 20, flags=0x8022)", (0, 137)),
    "ignores SIGTERM": Program(f"{_IGNORES}\n{_GROW}", (137,)),
    "forks": Program(f"import os\nfor _ in range(7):\n    if os.fork() == 0: break\n{_GROW}", (137,)),
    "leaves by a double fork": Program(
        "import os\nif os.fork() == 0:\n    os.setsid()\n    if os.fork():\n        os._exit(0)\n" + _GROW, (0, 137)
    ),
    "threads": Program(
        "import threading\nheld = []\ndef grow():\n    for _ in range(100): held.append(bytearray(b'x') * (1 << 20))\n"
        "for _ in range(8): threading.Thread(target=grow).start()",
        (137,),
    ),
    "a memfd": Program(
        "import os\nfd = os.memfd_create('x')\nfor _ in range(400): os.write(fd, b'x' * (1 << 20))", (1, 137)
    ),
    "reads files": Program("for _ in range(20): open('large', 'rb').read(1 << 20)", (0,)),
    "page cache": Program("with open('large', 'rb', buffering=0) as f:\n    while f.read(1 << 20): pass", (0,)),
    "ends with 3": Program("raise SystemExit(3)", (3,)),
    "ends by SIGSEGV": Program("import os; os.kill(os.getpid(), 11)", (139,)),
    "catches MemoryError": Program(
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (200 << 20,) * 2)\n"
        f"try:\n    {_GROW}\nexcept MemoryError:\n    raise SystemExit(5)", (5, 137)
    ),
}  # fmt: skip
_AT_A_RATE = """import mmap, struct, sys, time
rate, file = float(sys.argv[1]), open('count', 'r+b')
count = mmap.mmap(file.fileno(), 8)
held, began = [], time.monotonic()
while len(held) < 3000:
    held.append(bytearray(b'x') * (1 << 20))
    count[:] = struct.pack('<q', len(held))
    while rate and time.monotonic() - began < len(held) / rate: time.sleep(0.0005)
"""


def run(folder: Path, budget: int, way: str, command: list[str]) -> tuple[int, dict[str, object]]:
    """Run a command under a budget of so many MiB; gives its status and the report."""
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "oomguard", "run", "--max-rss", f"{budget}M", "--enforce", way, "--grace", "1",
         "--report", str(report), "--", sys.executable, *command],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120,
        check=False,
    )  # fmt: skip
    return done.returncode, json.loads(report.read_text()) if report.exists() else {}


def own_kills() -> int:
    """What the kernel has killed for the limit of a cgroup that this campaign is in, itself or one above it."""
    memcg = find_own_memcg(Path("/"))
    return 0 if memcg is None else sum(each.oom_kills() or 0 for each in memcg.ancestors())


def is_v2() -> bool:
    """Whether memory is limited by cgroup v2 here."""
    memcg = find_own_memcg(Path("/"))
    return memcg is not None and memcg.version == 2


def on_cgroups(folder: Path, runs: int, until: float, seed: int) -> list[str]:
    """Run programs of chance; says what was wrong, and prints what came out."""
    chance, wrong = random.Random(seed), []
    over: list[int] = []
    statuses: Counter[str] = Counter()
    inside = done = 0
    before = own_kills()
    while done < runs and time.monotonic() < until:
        name, budget = chance.choice(list(PROGRAMS)), chance.choice(BUDGETS)
        program = PROGRAMS[name]
        status, report = run(folder, budget, "cgroup", ["-c", program.code])
        done += 1
        statuses[f"{name}: {status}"] += 1
        hard, peak = report.get("hard_limit"), report.get("peak_with_cache")
        if status not in program.right:
            wrong.append(f"{name} at {budget} MiB: status {status}")
        if isinstance(hard, int) and isinstance(peak, int):
            over.append(peak - hard)
            if peak - hard > MOST_OVER:
                wrong.append(f"{name} at {budget} MiB: {(peak - hard) / MIB:.1f} MiB over the hard limit")
        kills = report.get("oom_kills")
        inside += kills if isinstance(kills, int) else 0
    outside = own_kills() - before - (inside if is_v2() else 0)  # v2 counts those of cgroups below as well
    if outside:
        wrong.append(f"{outside} kernel kills outside of the jobs' cgroups")
    print(f"cgroup: {done} runs, {len(wrong)} wrong; kernel kills inside {inside}, outside {outside}; "
          f"most over the hard limit {max(over, default=0) / MIB:.1f} MiB")  # fmt: skip
    print(f"  {dict(sorted(statuses.items()))}")
    return wrong


def by_polling(folder: Path, each: int, until: float) -> list[str]:
    """How far over 64 MiB a program gets that grows at a rate, by its own count, in MiB without the interpreter."""
    found: dict[int, list[float]] = defaultdict(list)
    wrong = []
    for _ in range(each):
        for rate in RATES:
            if time.monotonic() > until:
                continue
            (folder / "count").write_bytes(bytes(8))
            status, _ = run(folder, 64, "polling", ["-c", _AT_A_RATE, str(rate)])
            with (folder / "count").open("rb") as file, mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ) as count:
                found[rate].append(struct.unpack("<q", count[:])[0] - 64)
            if status != 137:
                wrong.append(f"polling, {rate} MiB/s: status {status}")
    for rate, over in found.items():
        print(
            f"polling, {rate or 'no limit of'} MiB/s: {len(over)} runs, over the budget by at most {max(over):.0f} MiB"
        )
    return wrong


def main() -> int:
    """Run both, and say what went wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--polling", type=int, default=10, help="runs at each rate")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    until = time.monotonic() + asked.minutes * 60
    with tempfile.TemporaryDirectory(prefix="oomguard-overshoot-") as place:
        folder = Path(place)
        (folder / "large").write_bytes(bytes(200 * MIB))
        wrong = by_polling(folder, asked.polling, until) + on_cgroups(folder, asked.runs, until, asked.seed)
    memcg = find_own_memcg(Path("/"))
    if left := [path for path in leftovers() if memcg is not None and path.startswith(str(memcg.path))]:
        wrong.append(f"left: {left}")
    print("\n".join(wrong) or "nothing was wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
