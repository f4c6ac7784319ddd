"""Run one command in a process group and a memory cgroup of its own, and measure it from outside."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.limits import STEP_SECONDS, Limited, Reading, Watch, oom_kills

HANG_SECONDS = 10.0  # after an OOM kill: no processor time used for so long means that nobody will ever finish


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run did."""

    status: str  # "done", "failed", "killed" (by the limit), "hung" (after an OOM kill), "timeout"
    exit_code: int  # as subprocess gives it: -9 = SIGKILL
    wall_seconds: float  # from before the start of the process to its end
    reading: Reading
    result: dict[str, Any]  # the last line of stdout, if it was JSON
    stderr: str  # its last 4000 characters
    not_enforced: str  # why no limit could be set; empty: it was set


def run_measured(
    command: list[str],
    *,
    memory_max: int | None,
    input_path: Path | None,
    timeout_seconds: float,
    environment: dict[str, str] | None = None,
) -> Run:
    """Start, sample every 10 ms, wait, and leave nothing behind."""
    mark = f"OOMGUARD_BENCH_RUN={secrets.token_hex(8)}"
    priority = _session_priority()

    def enter() -> None:
        limited.enter()
        if priority is not None:
            Path("/proc/self/autogroup").write_text(priority)

    name, value = mark.split("=")
    with Limited(memory_max) as limited, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.monotonic()
        child = subprocess.Popen(
            command,
            stdout=out,
            stderr=err,
            stdin=subprocess.DEVNULL,
            env=os.environ | (environment or {}) | {name: value},
            preexec_fn=enter,  # noqa: PLW1509 - this program has one thread
            start_new_session=True,
        )
        watch = Watch(child.pid, limited.path, input_path, mark.encode())
        status = _wait(child, watch, began + timeout_seconds)
        wall = time.monotonic() - began
        reading = watch.finish()
        for pid in watch.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    code = child.wait()
    if status == "ended":
        status = "done" if code == 0 else "killed" if reading.oom_kills else "failed"
    result: dict[str, Any] = {}
    if status == "done":
        result = _last_json(texts[0])
    return Run(
        status=status,
        exit_code=code,
        wall_seconds=wall,
        reading=reading,
        result=result,
        stderr=texts[1][-4000:],
        not_enforced=limited.why_not,
    )


def _session_priority() -> str | None:
    """Ours, where sessions share the processors (sched_autogroup): a session of the command's own would have none."""
    with contextlib.suppress(OSError):
        found = re.search(r" nice (-?[0-9]+)", Path("/proc/self/autogroup").read_text())
        return found[1] if found and found[1] != "0" else None
    return None


def _last_json(text: str) -> dict[str, Any]:
    """The whole of stdout as JSON, or its last line."""
    for candidate in (text, text.strip().rpartition("\n")[2]):
        with contextlib.suppress(ValueError):
            parsed = json.loads(candidate)
            if isinstance(parsed, dict):
                return parsed
    return {}


def _wait(child: subprocess.Popen[bytes], watch: Watch, deadline: float) -> str:
    looked, busy_at, busy = 0.0, 0.0, -1
    while child.poll() is None:
        watch.step()
        now = time.monotonic()
        if now > deadline:
            return "timeout"
        if now - looked > 1.0 and watch.cgroup and oom_kills(watch.cgroup):
            looked = now
            if (used := _processor_ticks(watch.pids())) != busy:
                busy_at, busy = now, used
            elif now - busy_at > HANG_SECONDS:
                return "hung"
        time.sleep(STEP_SECONDS)
    return "ended"


def _processor_ticks(pids: list[int]) -> int:
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])  # utime and stime, proc(5) fields 14 and 15
    return ticks
