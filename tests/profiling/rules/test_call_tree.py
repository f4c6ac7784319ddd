"""Who called whom: a tree of stacks holds what the stacks hold, and a caller at least what it calls."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oomguard.profiling.rules.call_tree import call_tree, largest_nodes, own_call_tree, package_of
from oomguard.supervision.model import GrownCall, GrownStack

PANDAS = "/venv/lib/python3.11/site-packages/pandas/core/frame.py"


def call(file: str, line: int = 1, function: str = "f") -> GrownCall:
    return GrownCall(file=file, line=line, function=function, source="")


def stack(size: int, *calls: GrownCall) -> GrownStack:
    return GrownStack(number=size, grew_bytes=size, calls=calls)


CALLS = st.builds(call, st.sampled_from(["a.py", "b.py", PANDAS, "<string>"]), st.integers(0, 2))
STACKS = st.lists(st.builds(lambda size, calls: stack(size, *calls), st.integers(0, 99), st.lists(CALLS, max_size=5)))


@given(STACKS)
def test_nothing_is_lost_and_a_caller_holds_what_it_calls(stacks: list[GrownStack]) -> None:
    for root in (call_tree(stacks), own_call_tree(stacks)):
        assert root.grew_bytes == sum(each.grew_bytes for each in stacks)
        for node in (root, *(node for _, node in root.walk())):
            assert sum(child.grew_bytes for child in node.children.values()) <= node.grew_bytes


@given(STACKS, st.integers(1, 6))
def test_what_is_shown_is_a_tree(stacks: list[GrownStack], most: int) -> None:
    """No call without its caller, and none that holds more is left out for it."""
    root = call_tree(stacks)
    shown = largest_nodes(root, most, least=1)
    assert len(shown) <= most
    assert all(depth <= before + 1 for (before, _), (depth, _) in zip([(-1, None), *shown], shown, strict=False))
    left_out = [node for _, node in root.walk() if node.grew_bytes and all(node is not kept for _, kept in shown)]
    assert not shown or max((node.grew_bytes for node in left_out), default=0) <= min(n.grew_bytes for _, n in shown)


def test_a_library_is_one_call_below_the_user_s_and_its_own_calls_are_left_out() -> None:
    root = own_call_tree([
        stack(5, call("main.py", 9), call(PANDAS), call("/venv/lib/python3.11/site-packages/numpy/x.py")),
        stack(3, call("main.py", 9), call(PANDAS), call("main.py", 4, "apply"), call("main.py", 4, "f.<locals>.<lambda>")),
        stack(2, call("/usr/lib/python3.11/threading.py"), call("/usr/lib/python3.11/queue.py")),
    ])  # fmt: skip
    assert [(depth, node.call and node.call.file, node.grew_bytes) for depth, node in root.walk()] == [
        (0, "main.py", 8),
        (1, "pandas", 5),
        (1, "main.py", 3),
        (0, "threading", 2),
    ]


def test_packages() -> None:
    assert package_of(PANDAS) == "pandas"
    assert package_of("/usr/lib/python3.11/threading.py") == "threading"
    assert package_of("/home/u/prepare.py") == ""
