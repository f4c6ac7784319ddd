"""What a Ray task does on its node: oomguard in a process of its own, under its own budget. Numbers in, numbers out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from oomguard.errors import OomguardError
from oomguard.kernel.prctl import die_with_parent
from oomguard.preparation.cluster.job_file import read_job
from oomguard.units import MIB

TOLD = 2000  # characters of an error that pass through Ray: at most four bytes each


def look_there(path: str) -> tuple[str, str] | None:
    """On a node: what is wrong with the job's folder there, and what to do."""
    try:
        read_job(Path(path)).require_same_folder()
    except OomguardError as error:
        return str(error)[:TOLD], error.do[:TOLD]
    return None


def run_there(words: tuple[str, ...], max_rss: int) -> dict[str, Any]:
    """On a node: `oomguard WORDS`, in a process that ends with this one; gives what became of it."""
    import ray

    command = [sys.executable, "-P", "-m", "oomguard", *words, "--max-rss", f"{max_rss // MIB}M", "--json"]
    began, parent = time.monotonic(), os.getpid()
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
        preexec_fn=lambda: die_with_parent(parent),
    )  # fmt: skip
    said: dict[str, Any] = {
        "node": ray.get_runtime_context().get_node_id(),
        "ok": False,
        "seconds": time.monotonic() - began,
    }
    try:
        told = json.loads(done.stdout)
    except ValueError:
        told = {}
    failures = told.get("failures") or []
    if done.returncode == 0 and told:
        result = (told.get("done") or [{}])[0]
        return {**said, "ok": True, **{name: result.get(name, 0) for name in ("input_bytes", "peak_unreclaimable")}}
    broke = done.returncode in (128 + signal.SIGKILL, 128 + signal.SIGTERM) and not failures
    kind = failures[0]["error"] if failures else ""
    what = f"{failures[0]['what']}; try: {failures[0]['do']}" if failures else done.stderr.strip()
    return {
        **said,
        "was_killed": done.returncode < 0,  # by somebody else: its own budget ends it with a status
        "needs_more": broke or kind == "BudgetTooSmall",
        "what": what[-TOLD:] or f"exit status {done.returncode}",
    }
