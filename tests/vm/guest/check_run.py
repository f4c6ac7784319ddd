"""check_run.py RESULT WHAT...: run commands under a budget in the guest, and write what was seen to RESULT as JSON.

WHAT is the name of a case (tests/live/run_cases.py), "release", "stop" or "guard-killed". Nothing is judged here.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.live.run_cases import CASES, environment, faults, leftovers, run_case

GROW_AND_SAY = """
held = [bytearray(b"x") * (1 << 20) for _ in range(150)]
print(len(held))
"""


def run_held(folder: Path, what: str) -> dict[str, object]:
    """A job of 150 MiB under 100 MiB with --on-limit hold: released, stopped, or its guard killed."""
    (folder / "job.py").write_text(GROW_AND_SAY)
    guard = subprocess.Popen(
        [sys.executable, "-m", "oomguard", "run", "--max-rss", "100M", "--on-limit", "hold", "--", sys.executable, "job.py"],
        cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert guard.stderr is not None
    said = ""
    while "key s" not in said:
        line = guard.stderr.readline()
        assert line, said
        said += line
    reaper = child_of(guard.pid)
    job = child_of(reaper)
    facts: dict[str, object] = {"said": said, "frozen": state(job)}
    time.sleep(0.5)
    if what == "guard-killed":
        guard.kill()
        deadline = time.monotonic() + 30
        while (Path(f"/proc/{job}").exists() or leftovers()) and time.monotonic() < deadline:
            time.sleep(0.05)
        facts["job"] = state(job)
    else:
        flags = ["--stop"] if what == "stop" else ["--max-rss", "400M"]
        release = [sys.executable, "-m", "oomguard", "release", str(guard.pid), *flags]
        asked = subprocess.run(release, env=environment(), capture_output=True, text=True, check=False)
        facts["release"] = [asked.returncode, asked.stdout + asked.stderr]
    try:
        out, err = guard.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        guard.kill()
        out, err = guard.communicate()
    return {**facts, "code": guard.returncode, "out": out, "err": err}


def child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def state(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None


def main() -> None:
    result = Path(sys.argv[1])
    facts: dict[str, object] = {"uid": os.getuid(), "cgroup": Path("/proc/self/cgroup").read_text()}
    for what in sys.argv[2:]:
        with tempfile.TemporaryDirectory() as folder:
            name, _, flags = what.partition(":")
            if name in CASES:
                code, report, said, took = run_case(CASES[name], Path(folder), *flags.split())
                facts[what] = {
                    "code": code, "faults": faults(CASES[name], code, report), "said": said, "took": took,
                    "enforced_by": report.get("enforced_by"), "notes": report.get("notes"),
                    "held": report.get("held_unreclaimable"), "oom_kills": report.get("oom_kills"),
                }  # fmt: skip
            else:
                facts[what] = run_held(Path(folder), name)
    facts["back"] = Path("/proc/self/cgroup").read_text() == facts["cgroup"]
    deadline = time.monotonic() + 60  # systemd removes an empty scope when it gets to it
    while leftovers() and time.monotonic() < deadline:
        time.sleep(0.05)
    facts["left"] = leftovers()
    result.write_text(json.dumps(facts))


signal.signal(signal.SIGPIPE, signal.SIG_IGN)
main()
