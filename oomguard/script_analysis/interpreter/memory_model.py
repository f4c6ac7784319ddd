"""The books of a script's memory: what is alive, what grows in which loop, where a trap was seen, and the peak."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.values import LIST_OF, WAY, Thing
from oomguard.script_analysis.text_shape import HELD, PEAK, TextShape

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterable, Iterator

_WORTH_TELLING = 0.15  # bytes for each byte of the input


@dataclass(frozen=True, slots=True, kw_only=True)
class Trap:
    """A line that holds a part of the input that grows with the input."""

    line: int
    rule: str
    sort: str  # what it holds
    held: float  # bytes for each byte of the input, once it is done
    peak: float  # meanwhile
    disk: float = 0.0  # bytes of disk for each byte of the input
    fixed: float = 0.0  # bytes of memory whatever the input
    each: bool = False  # of each of many files, one after the other


@dataclass(eq=False, slots=True)
class Loop:
    """A loop that runs."""

    number: int
    share: float  # of the input that it goes over; more than 0 makes it a loop over the input
    bounded: bool = False  # it stops after a number of items
    grown: list[tuple[Thing, Thing, bool, ast.AST]] = field(default_factory=list)
    flushed: list[Thing] = field(default_factory=list)


class Ledger:
    """Counts as the script is gone through."""

    def __init__(self, shape: TextShape) -> None:
        self.shape = shape
        self.frames: list[dict[str, Thing]] = []
        self.held: list[Thing] = []  # temporaries of the expression that is looked at
        self.loops: list[Loop] = []
        self.traps: dict[tuple[int, str], Trap] = {}
        self.peak = 0.0  # bytes for each byte of the input
        self.peak_fixed = 0.0  # and bytes besides, at the same moment
        self.peak_line = 0
        self._loops_so_far = 0

    # what is alive

    def cost(self, thing: Thing) -> float:
        """Give the bytes that `thing` itself holds, for each byte of the input."""
        way = WAY.get(thing.sort)
        return thing.share * thing.weight * HELD[way](self.shape) if way and thing.share else 0.0

    def note_peak(self, more: float = 0.0, fixed: float = 0.0, line: int = 0) -> None:
        """Add up what is alive now, and `more` on top."""
        alive: dict[int, Thing] = {}
        to_see = [*self.held, *(thing for frame in self.frames for thing in frame.values())]
        while to_see:
            thing = to_see.pop()
            if id(thing) not in alive:
                alive[id(thing)] = thing
                to_see += thing.parts.values()
        total = sum(map(self.cost, alive.values())) + more
        # Some bytes whatever the input count as if the input were a gigabyte, so that the two can be compared.
        fixed += sum(thing.fixed for thing in alive.values())
        if total + fixed / 1e9 > self.peak + self.peak_fixed / 1e9:
            self.peak, self.peak_fixed, self.peak_line = total, fixed, line

    @contextmanager
    def keeping(self, things: Iterable[Thing]) -> Iterator[None]:
        """Keep temporaries alive within the block."""
        before = len(self.held)
        self.held += things
        try:
            yield
        finally:
            del self.held[before:]

    # what is made

    def new(self, sort: str, **fields: object) -> Thing:
        """Make a thing in the loops that run now."""
        return Thing(sort=sort, born=tuple(loop.number for loop in self.loops), **fields)  # type: ignore[arg-type]  # Thing's own fields

    def make(
        self, rule: str, node: ast.AST, sort: str, share: float, *, way: str = "", more: float = 0.0, each: bool = False
    ) -> Thing:
        """Make a thing that holds `share` of the input, and note the trap where it is more than a piece."""
        thing = self.new(sort, share=share, of_input=True, each=each, line=getattr(node, "lineno", 0))
        if share > 0:
            key = way or WAY.get(sort, "")
            held, peak = (share * table[key](self.shape) if key else 0.0 for table in (HELD, PEAK))
            self.trap(rule, node, sort, held=held + more, peak=peak + more, each=each)
            self.note_peak(peak + more, line=thing.line)
        return thing

    def trap_of(self, thing: Thing, rule: str, node: ast.AST) -> None:
        """Write down what `thing` holds, unless it is little more than pointers to what is there already."""
        if thing.weight == 1.0 or self.cost(thing) >= _WORTH_TELLING:
            self.trap(rule, node, thing.sort, held=self.cost(thing))

    def trap(
        self, rule: str, node: ast.AST, sort: str, *, held: float, peak: float = 0.0, disk: float = 0.0,
        fixed: float = 0.0, each: bool = False,
    ) -> None:  # fmt: skip
        """Write a trap down; of two at one line, the larger."""
        line = getattr(node, "lineno", 0)
        trap = Trap(
            line=line, rule=rule, sort=sort, held=held, peak=max(held, peak), disk=disk, fixed=fixed, each=each
        )  # fmt: skip
        known = self.traps.get((line, rule))
        if known is None or (trap.peak, trap.disk) > (known.peak, known.disk):
            self.traps[line, rule] = trap

    # loops

    @contextmanager
    def loop(self, share: float, *, bounded: bool = False) -> Iterator[Loop]:
        """Run a loop; what has grown in it, and was not emptied, holds the loop's share of the input at its end."""
        self._loops_so_far += 1
        loop = Loop(self._loops_so_far, 0.0 if bounded else share, bounded)
        self.loops.append(loop)
        try:
            yield loop
        finally:
            self.loops.pop()
            self._settle(loop)

    def went_on(self, source: Thing) -> None:
        """A piece was taken from `source`: the loops around that did not open it go over the input by that."""
        for loop in self.loops:
            if loop.number not in source.born and not loop.bounded:
                loop.share = max(loop.share, 1.0)

    def grow(self, thing: Thing, item: Thing, node: ast.AST, *, spread: bool) -> None:
        """`thing` takes `item` in, or (`spread`) all that `item` consists of."""
        if thing.sort == "bounded":
            return
        if item.share > 0 and item.sort not in ("file", "dataset", "stream"):
            self._add_whole(thing, item, node, spread=spread)
            return
        if spread and item.sort in ("stream", "file", "dataset") and item.share > 0:
            self._become(thing, item.one(), node, item.share, spread=False)
            return
        for loop in self.loops:
            if loop.number not in thing.born:
                loop.grown.append((thing, item, spread, node))

    def flush(self, thing: Thing) -> None:
        """`thing` was emptied or let go: what grew in it does not stay."""
        for loop in self.loops:
            if loop.number not in thing.born:
                loop.flushed.append(thing)

    def _settle(self, loop: Loop) -> None:
        if loop.share <= 0:
            return
        for thing, item, spread, node in loop.grown:
            if not any(thing is flushed for flushed in loop.flushed):
                self._become(thing, item, node, loop.share, spread=spread)

    def _become(self, thing: Thing, item: Thing, node: ast.AST, share: float, *, spread: bool) -> None:
        sort = _collected(thing, item, spread=spread)
        if sort is None or thing.share >= share:
            return
        thing.sort, thing.share, thing.of_input, thing.line = sort, share, True, getattr(node, "lineno", 0)
        thing.weight = item.weight
        self.trap_of(thing, _rule(sort), node)
        self.note_peak(line=thing.line)

    def _add_whole(self, thing: Thing, item: Thing, node: ast.AST, *, spread: bool) -> None:
        """What holds much already is taken in; its objects are shared unless they are text or an array."""
        sort = _collected(thing, item, spread=spread)
        copies = spread and (item.sort in ("text", "bytes") or item.sort.startswith("array"))
        thing.parts[f"item {len(thing.parts)}"] = item
        if sort is None:
            return
        if copies:
            thing.sort, thing.share = item.sort, thing.share + item.share
            self.trap(_rule(sort), node, thing.sort, held=self.cost(thing))
            thing.parts.clear()
        elif spread:
            thing.sort, thing.share, thing.of_input = sort, max(thing.share, item.share), True
            self.trap(_rule(sort), node, sort, held=self.cost(item))
            thing.parts.clear()
        self.note_peak(line=getattr(node, "lineno", 0))


def _collected(thing: Thing, item: Thing, *, spread: bool) -> str | None:
    """What a container is that holds many of `item`; None: it costs little."""
    if thing.sort in ("text", "buffer", "textbuffer"):
        return "text" if item.sort not in ("bytes", "chunk") else "bytes"
    if thing.sort in ("bytes", "bytebuffer"):
        return item.sort if item.sort.startswith("array") else "bytes"
    if thing.sort == "compact":  # array.array
        return "array2"
    if thing.sort.startswith("array"):
        return thing.sort
    if thing.sort == "set" and item.sort not in ("line", "document", "text", "record"):
        return None
    if not spread:
        return LIST_OF.get(item.sort)
    if item.sort in ("stream", "unknown", "file"):
        return LIST_OF.get(item.one().sort)
    one = item.one()
    return LIST_OF.get(one.sort)


def _rule(sort: str) -> str:
    if sort in ("tokens", "token_lists"):
        return "token-list"
    if sort in ("text", "bytes"):
        return "growing-text"
    if sort.startswith("array"):
        return "growing-array"
    return "growing-list"
