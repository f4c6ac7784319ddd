"""What a person sees of a run, from a made-up outcome."""

from __future__ import annotations

from dataclasses import replace

from oomguard.kernel.model import ProcessFacts, ProcessStack, StackFrame
from oomguard.supervision.model import RunOutcome
from oomguard.supervision.screens.outcome import outcome_lines

MIB = 1 << 20
FRAME = StackFrame(
    file="prepare.py", line=11, function="load", arguments={"path": "'a.txt'"}, locals={}, source="x.append(y)"
)
PROCESS = ProcessFacts(
    pid=17, parent_pid=1, name="python", command=("python", "prepare.py"), unreclaimable=100 * MIB, exact=True, rss=110 * MIB,
    anon=100 * MIB, shmem=0, file=10 * MIB, swap=0, peak_rss=110 * MIB,
)  # fmt: skip
CALM = RunOutcome(
    command=("python", "prepare.py"), exit_code=0, stopped_by=None, enforced_by="cgroup v2", budget=100 * MIB, hard_limit=116 * MIB,
    peak_unreclaimable=50 * MIB, peak_with_cache=90 * MIB, peak_shmem=0, largest_process=40 * MIB, wall_seconds=1.5,
)  # fmt: skip


def test_a_run_that_fits_is_one_line() -> None:
    assert outcome_lines(CALM) == [
        ("memory", "peak 50.0 MiB, budget 100 MiB, 90.0 MiB with page cache, largest process 40.0 MiB, 1.5 s")
    ]


def test_a_stopped_run_says_the_verdict_first_then_where_it_was() -> None:
    stack = ProcessStack(pid=17, thread=17, language="python", frames=(FRAME,), read_by="pystack")
    stopped = replace(
        CALM, exit_code=137, stopped_by="budget", held_seconds=1.0, held_unreclaimable=100 * MIB, processes=(PROCESS,),
        stacks=(stack,), advice=("write it out",),
    )  # fmt: skip
    lines = outcome_lines(stopped)
    assert lines[0] == ("stopped", "python prepare.py: it reached 100 MiB, its budget of 100 MiB (cgroup v2)")
    assert ("python", "17  prepare.py:11 in load(path='a.txt')") in lines
    assert ("", "      x.append(y)") in lines
    assert lines[-1] == ("try", "write it out")
    assert stopped.where() == "prepare.py:11 in load(path='a.txt')"


def test_a_refused_run_says_who_refused() -> None:
    refused = replace(CALM, exit_code=1, stopped_by="budget", peak_unreclaimable=101 * MIB)
    assert outcome_lines(refused)[1] == (
        "how",
        "the kernel refused it more than 116 MiB before oomguard could freeze it; it ended by itself, with status 1",
    )


def test_a_kill_below_its_own_limit_is_not_told_as_its_own() -> None:
    killed = replace(CALM, exit_code=137, stopped_by="kernel", oom_kills=1, victim="python (process 17)")
    assert dict(outcome_lines(killed))["why"].startswith("it had not reached its own limit")
    at_it = replace(killed, peak_with_cache=116 * MIB)
    assert "acted before oomguard could freeze the job (once)" in outcome_lines(at_it)[0][1]


def test_json_keeps_the_name_of_0_1_and_reads_both() -> None:
    polled = replace(CALM, enforced_by="polling")
    assert polled.to_json()["enforced_by"] == "watchdog"
    assert RunOutcome.from_json(polled.to_json()) == polled
    assert RunOutcome.from_json(CALM.to_json()) == CALM
