"""The commands that the campaigns try under each fault and in each place, and the statuses that are right for them."""

from __future__ import annotations

import sys
from dataclasses import dataclass

GROWS = "held = [bytearray(b'x') * (1 << 20) for _ in range(120)]"
_IN_A_BLOCK = (
    "import subprocess, sys, oomguard\n"
    "with oomguard.budget('300M'):\n"
    "    subprocess.run([sys.executable, '-c', 'x = bytearray(1 << 24)'], check=True)\n"
)
OOMGUARD = [sys.executable, "-m", "oomguard"]


@dataclass(frozen=True, slots=True)
class Feature:
    """One command, and the statuses that are right for it; beside them any clear error of its own."""

    name: str
    command: list[str]
    right: frozenset[int]
    failed: frozenset[int]  # what oomguard says when it failed itself
    result: str | None = None  # a folder whose bytes are those of a run without faults, after the same command again


def _feature(
    name: str, *command: str, right: tuple[int, ...] = (0,), failed: tuple[int, ...] = (1,), result: str | None = None
) -> Feature:
    return Feature(name, [*OOMGUARD, *command], frozenset(right), frozenset(failed), result)


FEATURES = [
    _feature("prepare", "prepare", "text", "--out", "out", "--quiet", "--workers", "2", result="out"),
    _feature(
        "prepare, budget", "run", "--max-rss", "300M", "prepare", "text", "--out", "out", "--quiet", result="out",
        failed=(1, 125, 137),
    ),
    _feature("run", "run", "--max-rss", "60M", "--report", "r.json", "--", "/bin/sh", "-c", "exit 3", right=(3,), failed=(125,)),
    _feature("run, at its budget", "run", "--max-rss", "60M", "--", sys.executable, "-c", GROWS, right=(137,), failed=(125,)),
    _feature(
        "run, polling", "run", "--max-rss", "60M", "--enforce", "polling", "--", sys.executable, "-c",
        f"{GROWS}\nimport time; time.sleep(60)",  # a burst may pass between two looks, and end before the next
        right=(137,), failed=(125,),
    ),
    _feature("profile", "profile", "-o", "new.oomguard", "--", sys.executable, "-c", GROWS, failed=(125,)),
    _feature("report", "report", "r.oomguard", "--html", "page.html"),
    _feature("diagnose", "diagnose", "--log", "kernel.log", "--html", "page.html", right=(0, 3)),
    _feature("check", "check", "script.py", right=(0, 1, 3), failed=(2,)),
    _feature("plan", "plan", "text"),
    _feature("inspect", "inspect", "done"),
    _feature("convert", "convert", "done", "--format", "npy", "--out", "converted", result="converted"),
    _feature("doctor", "doctor"),
    _feature("swap status", "swap", "status"),
    Feature("budget()", [sys.executable, "-c", _IN_A_BLOCK], frozenset({0}), frozenset({1})),
]  # fmt: skip
