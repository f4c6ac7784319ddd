"""What a person sees of a run, from a made-up outcome."""

from __future__ import annotations

from dataclasses import replace

from oomguard.kernel.model import OpenInput, ProcessFacts, ProcessStack, StackFrame
from oomguard.supervision.model import GrownLine, RunOutcome
from oomguard.supervision.screens import input_lines, outcome_lines, process_lines

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
        ("memory", "peak 50.0 MiB, 90.0 MiB with page cache, budget 100 MiB, largest process 40.0 MiB; run time 1.5 s")
    ]


def test_a_stopped_run_says_the_verdict_first_then_where_it_was() -> None:
    stack = ProcessStack(pid=17, thread=17, language="python", frames=(FRAME,), read_by="pystack")
    stopped = replace(
        CALM, exit_code=137, stopped_by="budget", held_seconds=1.0, held_unreclaimable=100 * MIB, processes=(PROCESS,),
        stacks=(stack,), advice=("write it out",),
    )  # fmt: skip
    lines = outcome_lines(stopped)
    assert lines[0] == ("stopped", "python prepare.py: it reached 100 MiB; its budget was 100 MiB (cgroup v2)")
    assert ("python", "17  prepare.py:11 in load(path='a.txt')") in lines
    assert ("", "      x.append(y)") in lines
    assert lines[-1] == ("try", "write it out")
    assert stopped.where() == "prepare.py:11 in load(path='a.txt')"


def test_a_refused_run_says_who_refused() -> None:
    refused = replace(CALM, exit_code=1, stopped_by="budget", peak_unreclaimable=101 * MIB)
    assert outcome_lines(refused)[1] == (
        "how",
        "the kernel refused it memory beyond 116 MiB before oomguard could freeze it; it ended by itself, with status 1",
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


def test_the_user_s_line_is_first_and_the_library_is_one_line() -> None:
    library = replace(
        FRAME, file="/v/lib/python3.11/site-packages/pandas/core/x.py", line=369, function="split", arguments={}
    )
    user = replace(FRAME, arguments={"frame": "<DataFrame at 0x7f2a91733e10>", "n": "3"})
    stack = ProcessStack(pid=17, thread=17, language="python", frames=(library, library, user), read_by="pystack")
    idle = replace(stack, pid=18, frames=(library,))
    small = replace(PROCESS, pid=18, unreclaimable=5 * MIB)
    stopped = replace(
        CALM, exit_code=137, stopped_by="budget", held_seconds=1.0, processes=(PROCESS, small), stacks=(stack, idle),
        grown=(GrownLine(file="prepare.py", line=4, function="handle", source="cache.append(x)", grew_bytes=40 * MIB),),
        grown_since=50 * MIB,
    )  # fmt: skip
    lines = outcome_lines(stopped)
    at = lines.index(("grew", "40.0 MiB of the last 50.0 MiB  prepare.py:4 in handle"))
    assert lines[at + 1 :] == [
        ("", "      cache.append(x)"),
        ("python", "17  prepare.py:11 in load(n=3, ...)"),
        ("", "      x.append(y)"),
        ("", "  in pandas/core/x.py:369 in split"),
    ]
    pools = replace(stopped.grown[0], file="/usr/lib/python3.11/multiprocessing/pool.py", line=522)
    order = [label for label, _ in outcome_lines(replace(stopped, grown=(pools,))) if label]
    assert order[-2:] == ["python", "grew"]  # what grew in a library comes after the user's line
    second = replace(stopped, grown=(replace(stopped.grown[0], line=11), stopped.grown[0]))
    order = [label for label, _ in outcome_lines(second) if label]
    assert order[-2:] == ["python", "grew"]  # as does what grew less
    here = replace(stopped, grown=(replace(stopped.grown[0], line=11),))
    assert outcome_lines(here)[-1] == ("", "      40.0 MiB of the last 50.0 MiB of growth came from here")


def test_a_position_that_cannot_be_seen_is_not_told() -> None:
    opened = OpenInput(pid=17, path="/d/big.csv", position=0, size=100 * MIB)
    assert input_lines((opened,)) == [
        ("input", "/d/big.csv  100 MiB; how far it was read cannot be seen (mmap, pread or seeks)")
    ]
    assert input_lines((replace(opened, position=25 * MIB),)) == [("input", "/d/big.csv  25.0 MiB of 100 MiB read")]
    assert "cannot be seen" in input_lines((replace(opened, path="/d/a.parquet", position=99 * MIB),))[0][1]


def test_the_bound_of_the_peak_is_said_where_it_is_more() -> None:
    assert "at most 80.0 MiB" in outcome_lines(replace(CALM, peak_at_most=80 * MIB))[0][1]
    assert "at most" not in outcome_lines(replace(CALM, peak_at_most=50 * MIB + 4096))[0][1]


def test_many_equal_processes_are_three_and_a_sum() -> None:
    twelve = tuple(replace(PROCESS, pid=100 + n, unreclaimable=17 * MIB) for n in range(12))
    lines = process_lines(twelve, {})
    assert len(lines) == 4
    assert lines[-1] == ("", "and 9 more, 153 MiB together")
