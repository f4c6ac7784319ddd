"""The books of a script's memory: what is alive, what grows in which loop, where a finding was seen, and the peak."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.values import LIST_OF, REPRESENTATION, AbstractValue
from oomguard.script_analysis.text_shape import HELD, PEAK, TextShape

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterable, Iterator

_WORTH_TELLING = 0.15  # bytes for each byte of the input


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFinding:
    """A line that holds a part of the input that grows with the input."""

    line: int
    rule: str
    kind: str  # what it holds
    held: float  # bytes for each byte of the input, once it is done
    peak: float  # meanwhile
    disk: float = 0.0  # bytes of disk for each byte of the input
    fixed: float = 0.0  # bytes of memory whatever the input
    each: bool = False  # of each of many files, one after the other


@dataclass(eq=False, slots=True)
class Loop:
    """A loop that runs."""

    number: int
    fraction: float  # of the input that it goes over; more than 0 makes it a loop over the input
    bounded: bool = False  # it stops after a number of items
    grown: list[tuple[AbstractValue, AbstractValue, bool, ast.AST]] = field(default_factory=list)
    flushed: list[AbstractValue] = field(default_factory=list)


class MemoryModel:
    """Counts as the script is gone through."""

    def __init__(self, shape: TextShape) -> None:
        self.shape = shape
        self.frames: list[dict[str, AbstractValue]] = []
        self.held: list[AbstractValue] = []  # temporaries of the expression that is looked at
        self.loops: list[Loop] = []
        self.findings: dict[tuple[int, str], LineFinding] = {}
        self.peak = 0.0  # bytes for each byte of the input
        self.peak_fixed = 0.0  # and bytes besides, at the same moment
        self.peak_line = 0
        self._loops_so_far = 0

    # what is alive

    def cost(self, abstract: AbstractValue) -> float:
        """Give the bytes that `value` itself holds, for each byte of the input."""
        representation = REPRESENTATION.get(abstract.kind)
        return (
            abstract.fraction * abstract.weight * HELD[representation](self.shape)
            if representation and abstract.fraction
            else 0.0
        )

    def note_peak(self, more: float = 0.0, fixed: float = 0.0, line: int = 0) -> None:
        """Add up what is alive now, and `more` on top."""
        alive: dict[int, AbstractValue] = {}
        to_see = [*self.held, *(abstract for frame in self.frames for abstract in frame.values())]
        while to_see:
            abstract = to_see.pop()
            if id(abstract) not in alive:
                alive[id(abstract)] = abstract
                to_see += abstract.parts.values()
        total = sum(map(self.cost, alive.values())) + more
        # Some bytes whatever the input count as if the input were a gigabyte, so that the two can be compared.
        fixed += sum(abstract.fixed for abstract in alive.values())
        if total + fixed / 1e9 > self.peak + self.peak_fixed / 1e9:
            self.peak, self.peak_fixed, self.peak_line = total, fixed, line

    @contextmanager
    def keeping(self, abstracts: Iterable[AbstractValue]) -> Iterator[None]:
        """Keep temporaries alive within the block."""
        before = len(self.held)
        self.held += abstracts
        try:
            yield
        finally:
            del self.held[before:]

    # what is made

    def new(self, kind: str, **fields: object) -> AbstractValue:
        """Make a value in the loops that run now."""
        return AbstractValue(kind=kind, born=tuple(loop.number for loop in self.loops), **fields)  # type: ignore[arg-type]  # AbstractValue's own fields

    def make(
        self,
        rule: str,
        node: ast.AST,
        kind: str,
        fraction: float,
        *,
        representation: str = "",
        more: float = 0.0,
        each: bool = False,
    ) -> AbstractValue:
        """Make a value that holds `share` of the input, and note the finding where it is more than a piece."""
        abstract = self.new(kind, fraction=fraction, of_input=True, each=each, line=getattr(node, "lineno", 0))
        if fraction > 0:
            key = representation or REPRESENTATION.get(kind, "")
            held, peak = (fraction * table[key](self.shape) if key else 0.0 for table in (HELD, PEAK))
            self.report(rule, node, kind, held=held + more, peak=peak + more, each=each)
            self.note_peak(peak + more, line=abstract.line)
        return abstract

    def report_growth(self, abstract: AbstractValue, rule: str, node: ast.AST) -> None:
        """Write down what `value` holds, unless it is little more than pointers to what is there already."""
        if abstract.weight == 1.0 or self.cost(abstract) >= _WORTH_TELLING:
            self.report(rule, node, abstract.kind, held=self.cost(abstract))

    def report(
        self, rule: str, node: ast.AST, kind: str, *, held: float, peak: float = 0.0, disk: float = 0.0,
        fixed: float = 0.0, each: bool = False,
    ) -> None:  # fmt: skip
        """Write a finding down; of two at one line, the larger."""
        line = getattr(node, "lineno", 0)
        finding = LineFinding(
            line=line, rule=rule, kind=kind, held=held, peak=max(held, peak), disk=disk, fixed=fixed, each=each
        )  # fmt: skip
        known = self.findings.get((line, rule))
        if known is None or (finding.peak, finding.disk) > (known.peak, known.disk):
            self.findings[line, rule] = finding

    # loops

    @contextmanager
    def loop(self, fraction: float, *, bounded: bool = False) -> Iterator[Loop]:
        """Run a loop; what has grown in it, and was not emptied, holds the loop's fraction of the input at its end."""
        self._loops_so_far += 1
        loop = Loop(self._loops_so_far, 0.0 if bounded else fraction, bounded)
        self.loops.append(loop)
        try:
            yield loop
        finally:
            self.loops.pop()
            self._settle(loop)

    def advance(self, source: AbstractValue) -> None:
        """A piece was taken from `source`: the loops around that did not open it go over the input by that."""
        for loop in self.loops:
            if loop.number not in source.born and not loop.bounded:
                loop.fraction = max(loop.fraction, 1.0)

    def grow(self, abstract: AbstractValue, item: AbstractValue, node: ast.AST, *, spread: bool) -> None:
        """`value` takes `item` in, or (`spread`) all that `item` consists of."""
        if abstract.kind == "bounded":
            return
        if item.fraction > 0 and item.kind not in ("file", "dataset", "stream"):
            self._add_whole(abstract, item, node, spread=spread)
            return
        if spread and item.kind in ("stream", "file", "dataset") and item.fraction > 0:
            self._become(abstract, item.one(), node, item.fraction, spread=False)
            return
        for loop in self.loops:
            if loop.number not in abstract.born:
                loop.grown.append((abstract, item, spread, node))

    def flush(self, abstract: AbstractValue) -> None:
        """`value` was emptied or let go: what grew in it does not stay."""
        for loop in self.loops:
            if loop.number not in abstract.born:
                loop.flushed.append(abstract)

    def _settle(self, loop: Loop) -> None:
        if loop.fraction <= 0:
            return
        for abstract, item, spread, node in loop.grown:
            if not any(abstract is flushed for flushed in loop.flushed):
                self._become(abstract, item, node, loop.fraction, spread=spread)

    def _become(
        self, abstract: AbstractValue, item: AbstractValue, node: ast.AST, fraction: float, *, spread: bool
    ) -> None:
        kind = _collected(abstract, item, spread=spread)
        if kind is None or abstract.fraction >= fraction:
            return
        abstract.kind, abstract.fraction, abstract.of_input, abstract.line = (
            kind,
            fraction,
            True,
            getattr(node, "lineno", 0),
        )
        abstract.weight = item.weight
        self.report_growth(abstract, _rule(kind), node)
        self.note_peak(line=abstract.line)

    def _add_whole(self, abstract: AbstractValue, item: AbstractValue, node: ast.AST, *, spread: bool) -> None:
        """What holds much already is taken in; its objects are shared unless they are text or an array."""
        kind = _collected(abstract, item, spread=spread)
        copies = spread and (item.kind in ("text", "bytes") or item.kind.startswith("array"))
        abstract.parts[f"item {len(abstract.parts)}"] = item
        if kind is None:
            return
        if copies:
            abstract.kind, abstract.fraction = item.kind, abstract.fraction + item.fraction
            self.report(_rule(kind), node, abstract.kind, held=self.cost(abstract))
            abstract.parts.clear()
        elif spread:
            abstract.kind, abstract.fraction, abstract.of_input = kind, max(abstract.fraction, item.fraction), True
            self.report(_rule(kind), node, kind, held=self.cost(item))
            abstract.parts.clear()
        self.note_peak(line=getattr(node, "lineno", 0))


def _collected(abstract: AbstractValue, item: AbstractValue, *, spread: bool) -> str | None:
    """What a container is that holds many of `item`; None: it costs little."""
    if abstract.kind in ("text", "buffer", "textbuffer"):
        return "text" if item.kind not in ("bytes", "chunk") else "bytes"
    if abstract.kind in ("bytes", "bytebuffer"):
        return item.kind if item.kind.startswith("array") else "bytes"
    if abstract.kind == "compact":  # array.array
        return "array2"
    if abstract.kind.startswith("array"):
        return abstract.kind
    if abstract.kind == "set" and item.kind not in ("line", "document", "text", "record"):
        return None
    if not spread:
        return LIST_OF.get(item.kind)
    if item.kind in ("stream", "unknown", "file"):
        return LIST_OF.get(item.one().kind)
    one = item.one()
    return LIST_OF.get(one.kind)


def _rule(kind: str) -> str:
    if kind in ("tokens", "token_lists"):
        return "token-list"
    if kind in ("text", "bytes"):
        return "growing-text"
    if kind.startswith("array"):
        return "growing-array"
    return "growing-list"
