"""The table of stacks: each once, bounded, and its charged lines are those of the stacks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oomguard.supervision.growth import calls
from oomguard.supervision.growth.calls import CallTable
from oomguard.supervision.growth.line_growth import Line, charged_line

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
    before, calls._MOST_STACKS = calls._MOST_STACKS, most
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
        calls._MOST_STACKS = before


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
    assert len(kept._stacks) <= calls._MOST_STACKS + 1
    assert max(map(len, kept._stacks)) <= 100
