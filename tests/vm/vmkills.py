"""Real kills in virtual machines, each followed by `oomguard diagnose`: what must be in the answer.

`python -m tests.vm.vmkills [KERNEL...]` runs every step on every kernel that was built, and prints a table.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.vm.machine import GUEST, Facts, Machine

ALL_STEPS = (
    "memcg",
    "oom-group",
    "earlyoom",
    "nohang",
    "global-noswap",
    "global-swap",
    "systemd-oomd",
    "plain-user",
    "container",
)
# Of pure Python, so that the guest's interpreter runs them.
_LIBRARIES = ("rich", "markdown_it", "mdurl", "pygments")


def boot(machine: Machine, kernel: str, steps: tuple[str, ...]) -> dict[str, Facts]:
    """Boot once, kill once for each step, and give truth and answer of each."""
    machine.share_files(GUEST / "check_diagnose.py")
    machine.share_modules(*_LIBRARIES)
    command = f"PYTHONPATH=/host PYTHONDONTWRITEBYTECODE=1 python3 /host/check_diagnose.py /out {' '.join(steps)}"
    return machine.run(f"kills-{kernel}", command, "--kernel", kernel, "--swap", "192", timeout=420, memory=512)


def check(step: str, facts: Facts) -> list[str]:
    """Give what is wrong with an answer."""
    truth, answer = facts["truth"], facts["answer"]
    wrong: list[str] = []

    def expect(what: str, should: object, seen: object) -> None:
        if should != seen:
            wrong.append(f"{what}: {should!r}, it says {seen!r}")

    if step == "plain-user":
        expect("verdict", "likely", answer["verdict"])
        expect("killer", "kernel", answer["killer"])
        if not any(source["unread"] and source["do"] for source in answer["sources"]):
            wrong.append("it does not say what it could not read")
        return wrong
    if step == "container":
        return _check_counted(answer)
    killer = step if step in ("earlyoom", "nohang", "systemd-oomd") else "kernel"
    expect("killer", killer, answer["killer"])
    expect("verdict", "proved", answer["verdict"])
    if killer != "kernel":
        kill = answer["other_kills"][0] if answer["other_kills"] else {}
        expect("pid", truth.get("pid"), kill.get("pid"))
        if "memcg" in truth:
            expect("cgroup", truth["memcg"], kill.get("cgroup"))
        return wrong
    if not answer["events"]:
        return [*wrong, "no event"]
    _check_event(step, truth, answer, expect)
    return wrong


def _check_counted(answer: Facts) -> list[str]:
    """In a container nothing but its own counters can be read, and the log is the host's."""
    seen = {
        "verdict": answer["verdict"] == "likely",
        "killer": answer["killer"] == "kernel",
        "that it was in this container": "in this container" in (answer["counters"] or {}).get("text", ""),
        "where the log is": any("on the host" in (step["command"] or "") for step in answer["advice"]),
    }
    return [f"it does not tell {what}" for what, told in seen.items() if not told]


def _check_event(step: str, truth: Facts, answer: Facts, expect: Any) -> None:
    event = answer["events"][0]
    pids = [victim["pid"] for victim in event["victims"]]
    if "pid" in truth:
        expect("victims", [truth["pid"]], pids)
    if step.startswith("global"):
        expect("cause", "exhaustion", answer["cause"])
        expect("filled by", "anon", event["cause"]["filled_by"])
        expect("swap there", step == "global-swap", bool(event["swap_total"]))
    else:
        expect("cause", "memcg", answer["cause"])
        expect("cgroup", truth["memcg"], event["oom_memcg"])
    if "limit" in truth:
        expect("limit", truth["limit"], event["memcg_limit"])
    if "counted" in truth:  # the kernel counts the first victim twice, as it prints it twice
        expect("victims of the group", truth["counted"] - (len(pids) != truth["counted"]), len(pids))
        expect("victims, at least", 3, min(len(pids), 3))


def main() -> None:
    kernels = sys.argv[1:] or ["5.10", "6.1", "6.12"]
    bad = 0
    for kernel in kernels:
        with tempfile.TemporaryDirectory() as folder:
            answers = boot(Machine(Path(folder)), kernel, ALL_STEPS)
        for step in ALL_STEPS:
            wrong = check(step, answers[step]) if step in answers else ["not run"]
            bad += bool(wrong)
            seconds = answers.get(step, {}).get("seconds", 0)
            print(f"{kernel:6}{step:16}{'ok' if not wrong else '; '.join(wrong)}   (answered in {seconds:.1f} s)")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
