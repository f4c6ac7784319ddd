"""The table of stacks: each once, bounded, and its charged lines are those of the stacks."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from oomguard.supervision.growth import line_growth
from oomguard.supervision.growth.line_growth import CallTable, Line, charged_line
from oomguard.supervision.growth.watch import GrowthWatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

FRAME = st.tuples(
    st.sampled_from(
        ["a.py", "b.py", "/usr/lib/python3.11/json/decoder.py", "<frozen importlib._bootstrap>", "<string>"]
    ),
    st.integers(1, 3),
    st.sampled_from(["f", "<module>", "f.<locals>.<genexpr>"]),
)


def table() -> CallTable:
    return CallTable(lambda _pid, file, line: f"{file} {line}")


@given(st.lists(st.lists(FRAME, max_size=6), max_size=12), st.integers(1, 5))
def test_bytes_by_line_are_the_bytes_by_stack(stacks: list[list[tuple[str, int, str]]], most: int) -> None:
    """Whatever the stacks are, and also when the table is full: nothing is lost, and the charged line stays."""
    before, line_growth._MOST_STACKS = line_growth._MOST_STACKS, most
    try:
        kept, held, lines = table(), dict[int, int](), dict[Line, int]()
        for size, frames in enumerate(stacks, 1):
            number = kept.number(frames, "python", 7)
            held[number] = held.get(number, 0) + size
            line = charged_line(frames, "python")
            lines[line] = lines.get(line, 0) + size
        assert kept.by_line(held) == lines
        told = kept.told(held)
        assert sum(stack.grew_bytes for stack in told) == sum(held.values())
        assert [stack.grew_bytes for stack in told] == sorted(held.values(), reverse=True)
    finally:
        line_growth._MOST_STACKS = before


def test_a_stack_is_told_outermost_first_with_the_user_s_source() -> None:
    kept = table()
    library = "/usr/lib/python3.11/site-packages/pandas/io.py"
    frames = [(library, 9, "read"), ("own.py", 3, "load"), ("<frozen runpy>", 1, "_run"), ("own.py", 8, "<module>")]
    assert kept.number(frames, "python", 1) == kept.number(list(frames), "python", 2) == 0
    (stack,) = kept.told({0: 5})
    assert [(call.file, call.line, call.source) for call in stack.calls] == [
        ("own.py", 8, "own.py 8"),
        ("own.py", 3, "own.py 3"),
        (library, 9, ""),
    ]


def test_an_endless_recursion_fills_no_memory() -> None:
    kept = table()
    for depth in range(3000):
        frames = [("own.py", 4, "walk")] * (depth % 90 + 1) + [("own.py", depth, "<module>")]
        kept.number(frames, "python", 1)
    assert len(kept._stacks) <= line_growth._MOST_STACKS + 1
    assert max(map(len, kept._stacks)) <= 100


THREADING = "/usr/lib/python3.11/threading.py"
SOURCES = {("a.py", 4): "kept.append(make())", ("a.py", 5): "time.sleep(0.02)", ("a.py", 9): "event.wait()"}


def sleeping() -> tuple[CallTable, int, int, int, int]:
    """A loop in `work` that allocates in line 4, and in make() below it, and sleeps in line 5."""
    kept = CallTable(lambda _pid, file, line: SOURCES.get((file, line), ""))
    below = ("a.py", 12, "<module>")
    allocates = kept.number([("a.py", 4, "work"), below], "python", 1)
    deeper = kept.number([("b.py", 2, "make"), ("a.py", 4, "work"), below], "python", 1)
    sleeps = kept.number([("a.py", 5, "work"), below], "python", 1)
    elsewhere = kept.number([("c.py", 1, "read"), below], "python", 1)
    return kept, allocates, deeper, sleeps, elsewhere


def test_what_a_sleeping_thread_grew_by_it_allocated_in_the_calls_around() -> None:
    kept, allocates, deeper, sleeps, elsewhere = sleeping()
    held = {allocates: 100, deeper: 300, sleeps: 1001, elsewhere: 50}
    awake = kept.awake(held)
    assert awake == {allocates: 350, deeper: 1051, elsewhere: 50}
    assert sum(awake.values()) == sum(held.values())


def test_where_nothing_else_is_known_the_line_that_sleeps_stays() -> None:
    kept, _, _, sleeps, elsewhere = sleeping()
    assert kept.awake({sleeps: 10, elsewhere: 5}) == {sleeps: 10, elsewhere: 5}


def test_a_library_s_thread_that_works_while_the_user_s_waits_is_not_asleep() -> None:
    kept, allocates, _, _, _ = sleeping()
    frames = [("/usr/lib/python3.11/multiprocessing/pool.py", 5, "run"), ("a.py", 5, "work"), ("a.py", 12, "<module>")]
    working = kept.number(frames, "python", 1)
    assert kept.awake({working: 10, allocates: 5}) == {working: 10, allocates: 5}
    waits = kept.number([(THREADING, 320, "wait"), ("a.py", 5, "work"), ("a.py", 12, "<module>")], "python", 1)
    assert kept.awake({waits: 10, allocates: 5}) == {allocates: 15}


USERS = st.tuples(st.sampled_from(["a.py", "b.py"]), st.integers(4, 5), st.sampled_from(["work", "read"]))


@given(st.lists(st.lists(USERS, min_size=1, max_size=3), max_size=12))
def test_each_sleeping_stack_s_memory_goes_to_those_that_run_in_its_call(
    frames: list[list[tuple[str, int, str]]],
) -> None:
    kept = CallTable(lambda _pid, file, line: SOURCES.get((file, line), ""))
    stacks = {kept.number(each, "python", 1): each[::-1] for each in frames}
    awake = kept.awake(dict.fromkeys(stacks, 60))
    assert sum(awake.values()) == 60 * len(stacks)
    asleep = {number for number, stack in stacks.items() if stack[-1][:2] == ("a.py", 5)}
    for number in stacks:
        called, (file, _, function) = stacks[number][:-1], stacks[number][-1]
        beside = [
            other for other, runs in stacks.items()
            if other not in asleep and runs[: len(called)] == called
            and [(file, function)] == [(line[0], line[2]) for line in runs[len(called) : len(called) + 1]]
        ]  # fmt: skip
        assert (number in awake) == (number not in asleep or not beside)
        if number in asleep:
            assert all(awake[other] > 60 for other in beside)


def test_thousands_of_stacks_hold_no_supervisor_up() -> None:
    """Most of them below the same deep call, as those of a server's handlers are."""
    kept = CallTable(lambda _pid, _file, line: "done.wait()" if line % 7 == 0 else "rows.append(row)")
    held = {}
    for number in range(2000):
        line = 7 * (number + 1) + (number >= 285)
        around = [("a.py", 1 + 7 * depth, f"at {depth}") for depth in range(60)]
        held[kept.number([("a.py", line, f"handle {number % 5}"), *around], "python", 1)] = 1000
    began = time.thread_time()
    awake = kept.awake(held)
    assert time.thread_time() - began < 0.2
    assert len(awake) == 2000 - 285
    assert sum(awake.values()) == 2000 * 1000


def test_what_was_awake_at_a_peak_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Mapping[int, int]] = []
    find = CallTable.awake

    def awake(table: CallTable, held: Mapping[int, int]) -> dict[int, int]:
        asked.append(held)
        return find(table, held)

    monkeypatch.setattr(CallTable, "awake", awake)
    watch: Any = GrowthWatch()
    watch._files = SimpleNamespace(named=lambda _pid, _frames: [("a.py", 4, "work")])
    try:
        for size in (10 << 20, 30 << 20):
            process = SimpleNamespace(pid=7, growing=size)
            watch.take(SimpleNamespace(processes=(process,), unreclaimable=size))
            (line,), (stack,) = watch.lines(), watch.stacks()
            assert line.grew_bytes == stack.grew_bytes == size
        assert len(asked) == 2
    finally:
        watch.close()
