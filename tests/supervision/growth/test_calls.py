"""The table of stacks: each once, bounded, and its charged lines are those of the stacks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oomguard.supervision.growth import line_growth
from oomguard.supervision.growth.line_growth import CallTable, Line, charged_line

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
