"""Stacks put together by who called whom: what grew below each call, over all processes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oomguard.supervision.growth.model import GrownCall
from oomguard.supervision.rules.user_code import is_library

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from oomguard.supervision.growth.model import GrownStack

_PACKAGE = re.compile(r".*/(?:site-packages|dist-packages|lib(?:64)?/python3[0-9.t]*)/([^/]+)")


@dataclass(slots=True)
class CallNode:
    """A call, and what grew in it and below it. Units: bytes."""

    call: GrownCall | None  # None: the root, which holds everything
    grew_bytes: int = 0
    children: dict[GrownCall, CallNode] = field(default_factory=dict)

    def largest_first(self) -> list[CallNode]:
        """Its calls, those that hold most first."""
        return sorted(self.children.values(), key=lambda node: -node.grew_bytes)

    def walk(self, depth: int = 0) -> Iterator[tuple[int, CallNode]]:
        """Every call below it with its depth, callers before what they call, the largest first."""
        pending = [(depth, node) for node in reversed(self.largest_first())]
        while pending:
            level, node = pending.pop()
            yield level, node
            pending += [(level + 1, child) for child in reversed(node.largest_first())]


def call_tree(stacks: Iterable[GrownStack]) -> CallNode:
    """Put stacks together, with every call in them."""
    return _tree((stack.calls, stack.grew_bytes) for stack in stacks)


def own_call_tree(stacks: Iterable[GrownStack]) -> CallNode:
    """Put stacks together by the calls in the user's own files; a library below them is one call, its package."""
    return _tree((_own(stack.calls), stack.grew_bytes) for stack in stacks)


def largest_nodes(root: CallNode, most: int, *, least: int) -> list[tuple[int, CallNode]]:
    """The `most` calls that hold most, and `least` at least, in the order of the tree: a caller before its calls."""
    nodes = [(depth, node) for depth, node in root.walk() if node.grew_bytes >= least]
    kept = {id(node) for _, node in sorted(nodes, key=lambda one: (-one[1].grew_bytes, one[0]))[:most]}
    return [(depth, node) for depth, node in nodes if id(node) in kept]


def package_of(file: str) -> str:
    """The package or module of a library's file, as people know it; "" of the user's own."""
    found = _PACKAGE.match(file)
    return found[1].removesuffix(".py") if found else ("oomguard" if is_library(file) else "")


def _tree(stacks: Iterable[tuple[Sequence[GrownCall], int]]) -> CallNode:
    root = CallNode(None)
    for calls, size in stacks:
        node = root
        node.grew_bytes += size
        for call in calls:
            node = node.children.setdefault(call, CallNode(call))
            node.grew_bytes += size
    return root


def _own(calls: Sequence[GrownCall]) -> list[GrownCall]:
    own = [number for number, call in enumerate(calls) if not call.line or _is_own(call)]
    if not own:
        return [_in_package(calls[0])] if calls else []
    kept: list[GrownCall] = []
    for number in own:
        # A comprehension on the line that runs it is no call to people.
        if not kept or (kept[-1].file, kept[-1].line) != (calls[number].file, calls[number].line):
            kept.append(calls[number])
    below = calls[own[-1] + 1 :]
    return [*kept, _in_package(below[0])] if below else kept


def _is_own(call: GrownCall) -> bool:
    return not is_library(call.file) and not call.file.startswith("<")


def _in_package(call: GrownCall) -> GrownCall:
    name = package_of(call.file) or call.file
    return GrownCall(file=name, line=0, function="", source="")
