"""The books of a script's memory: what is alive, what grows in which loop, and the peak."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from oomguard.preparation.reading.text_shape import HELD, PEAK, TextShape
from oomguard.script_analysis.interpreter.findings import (
    PAIR_BYTES,
    Growth,
    Loop,
    Notes,
    Peak,
    Retained,
    collected,
    growth_rule,
    retained,
)
from oomguard.script_analysis.interpreter.values import (
    ARRAYS,
    CALLABLE,
    CONTAINED,
    COUNT,
    LISTS,
    REPRESENTATION,
    STREAMED,
    WHOLE_ITEMS,
    AbstractValue,
    Frame,
    kept_item,
)

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterable, Iterator

WORTH_TELLING = 0.15  # bytes for each byte of the input
SMALL_OBJECTS = 0.3  # the same, for numbers and keys: how many there are is less sure
LARGE_LIMIT = 64 << 20  # bytes that a list may have before it is emptied, from where on they are told
_MANY_ALIVE = 100  # values; of a script with more the sum is taken less often, and at its end
_DEEPEST_SOURCE = 6


class MemoryModel(Notes):
    """Counts as the script is gone through."""

    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.shape = shape
        self.frames: list[Frame] = []
        self.held: list[AbstractValue] = []  # temporaries of the expression that is gone through
        self.loops: list[Loop] = []
        self.peak = Peak()  # of all files together
        self.peak_each = Peak()  # of the one of many files that is being worked on
        self.few = False  # in what only the first items of a loop come to
        self._loops_so_far = 0
        self._calls = self._alive = 0
        self._limit = 0.0

    # what is alive

    def cost(self, abstract: AbstractValue) -> float:
        """Give the bytes that it holds itself, for each byte of the input."""
        key = REPRESENTATION.get(abstract.kind)
        own = abstract.fraction * abstract.weight * HELD[key](self.shape) if key and abstract.fraction else 0.0
        return own + abstract.extra

    def note_peak(self, more: float = 0.0, fixed: float = 0.0, line: int = 0, *, each: bool = False) -> None:
        """Add up what is alive now, and `more` on top."""
        self._calls += 1
        if not self.reached or (line and self._calls % (1 + self._alive // _MANY_ALIVE)):
            return
        seen: set[int] = set()
        to_see = [*self.held, *(abstract for frame in self.frames for abstract in frame.values())]
        total, total_each, largest = 0.0, 0.0, (0.0, 0)
        while to_see:
            abstract = to_see.pop()
            place = id(abstract)
            if place in seen:
                continue
            seen.add(place)
            fixed += abstract.fixed
            if abstract.fraction or abstract.extra:
                cost = self.cost(abstract)
                largest = max(largest, (cost, abstract.line))
                if abstract.each:
                    total_each += cost
                else:
                    total += cost
            if abstract.parts:
                to_see += abstract.parts.values()
            if abstract.home is not None and id(abstract.home) not in seen:  # the names around a closure, of a module
                seen.add(id(abstract.home))
                to_see += abstract.home.values()
            if abstract.item is not None and abstract.item.kind in CONTAINED:
                to_see.append(abstract.item)
        self._alive = len(seen)
        line = line or largest[1]
        self.peak.raise_to(total + (0.0 if each else more), fixed, line)
        self.peak_each.raise_to(total_each + (more if each else 0.0), 0.0, line)

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

    def running(self) -> tuple[int, ...]:
        """Give the numbers of the loops that run now."""
        return tuple(loop.number for loop in self.loops)

    def new(self, kind: str, **fields: object) -> AbstractValue:
        """Make a value in the loops that run now."""
        return AbstractValue(kind=kind, born=self.running(), **fields)  # type: ignore[arg-type]  # AbstractValue's own fields

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
        weight: float = 1.0,
    ) -> AbstractValue:
        """Make a value that holds `fraction` of the input, and report it where it is more than a piece."""
        line = getattr(node, "lineno", 0)
        made = self.new(kind, fraction=fraction, of_input=True, each=each, line=line, weight=weight)
        if fraction > 0:
            key = representation or REPRESENTATION.get(kind, "")
            held, peak = (fraction * weight * table[key](self.shape) if key else 0.0 for table in (HELD, PEAK))
            self.read_at(node)
            self.report(rule, node, kind, held=held + more, peak=peak + more, each=each)
            self.note_peak(peak + more, line=line, each=each)
        return made

    # loops

    @contextmanager
    def loop(self, fraction: float, *, bounded: bool = False, each: bool = False) -> Iterator[Loop]:
        """Run a loop; what has grown in it, and was not emptied, holds the loop's fraction of the input at its end."""
        self._loops_so_far += 1
        loop = Loop(self._loops_so_far, 0.0 if bounded else fraction, bounded, each)
        self.loops.append(loop)
        try:
            yield loop
        finally:
            self.loops.pop()
            self._settle(loop)

    def keep_all(
        self, node: ast.AST, source: AbstractValue, container: str = "list", rule: str = "list-of-input"
    ) -> AbstractValue:
        """Put all that passes by into a new list, set or dict."""
        item = source.one()
        growth = Growth(
            holder=AbstractValue(kind=container), item=item, node=node, spread=False, count=self.count_of(source)
        )
        cost = retained(growth, source.fraction, self.shape)
        self.read_at(node)
        with self.keeping([source]):
            if cost.kind is not None:
                made = self.make(rule, node, cost.kind, source.fraction, each=source.each, more=cost.extra)
            else:
                made = self.new(container, of_input=item.of_input, line=getattr(node, "lineno", 0), each=source.each)
                if cost.extra >= SMALL_OBJECTS:
                    self.report("growing-list", node, "numbers", held=cost.extra, each=source.each)
                elif item.kind == "unknown" and item.of_input:
                    self.cannot_see(node, "keeps something for each piece of the input; how much is not known")
        made.extra = cost.extra
        made.item = item if item.kind in WHOLE_ITEMS else kept_item(item)
        return made

    def passes(self, loop: Loop, iterable: AbstractValue) -> None:
        """The items of this pass by in the loop."""
        loop.count = self.count_of(iterable)
        loop.over = list_behind(iterable)
        loop.paired = iterable.paired or any(
            outer.over is loop.over is not None and outer is not loop for outer in self.loops
        )

    def counts(self, name: str) -> bool:
        """Whether a loop that runs now counts with this name: `for i in range(pieces)`."""
        return any(name in loop.counters for loop in self.loops)

    def count_of(self, iterable: AbstractValue) -> float:
        """Say how many items it has for each byte of the input: lines, documents, words or tokens."""
        if iterable.count:
            return iterable.count
        kinds: set[str] = set()
        to_see = [(iterable, 0)]
        while to_see:
            abstract, depth = to_see.pop()
            item = abstract.one()
            kinds |= {item.kind, *(part.kind for part in item.parts.values() if item.kind == "tuple")}
            if depth < _DEEPEST_SOURCE and not COUNT.get(item.kind):
                to_see += [(part, depth + 1) for name, part in abstract.parts.items() if name != "class"]
        counts = [float(getattr(self.shape, COUNT[kind])) for kind in kinds if kind in COUNT]
        return max(counts, default=self.shape.documents)

    def lines_are_documents(self) -> None:
        """Each line is a JSON document, as `json.loads` is called on it."""
        for loop in self.loops:
            if loop.count == self.shape.lines:
                loop.count = self.shape.documents

    def advance(self, source: AbstractValue, *, lines: bool = False) -> None:
        """A piece was taken from `source`: the loops around that did not open it go over the input by that."""
        for loop in self.loops:
            if loop.number not in source.born and not loop.bounded:
                if loop.fraction <= 0:
                    loop.each = source.each or "many" in source.parts
                loop.fraction = max(loop.fraction, 1.0)
                loop.count = loop.count or (self.shape.lines if lines else self.shape.documents / 100)

    def grow(self, holder: AbstractValue, item: AbstractValue, node: ast.AST, *, spread: bool) -> None:
        """`holder` takes `item` in, or (`spread`) all that `item` consists of."""
        if self.few or holder.kind in ("bounded", "output", "file", "queue", "archive_output"):
            return
        if item.fraction > 0 and item.kind not in STREAMED and not (item.each and self._gathers(holder)):
            self._add_whole(holder, item, node, spread=spread)
            return
        if spread and item.kind in STREAMED and item.fraction > 0:
            whole = Growth(holder=holder, item=item.one(), node=node, spread=False, count=self.shape.documents)
            self._become(holder, [whole], item.fraction, each=item.each)
            return
        paired = item.paired or any(loop.paired for loop in self.loops if loop.number not in holder.born)
        if paired and self._of_pairs(holder):
            bytes_each = PAIR_BYTES if holder.kind != "dict" else 2 * PAIR_BYTES
            self.report("all-by-all", node, "pairs", held=0.0, squared=bytes_each)
            return
        count = 0.0
        for loop in reversed(self.loops):
            count = max(count, loop.count)
            if loop.number not in holder.born:
                loop.grown.append(Growth(holder=holder, item=item, node=node, spread=spread, count=count))
        self._take_kind(holder, item, spread=spread)

    def _of_pairs(self, holder: AbstractValue) -> bool:
        """Whether it outlives both loops over the same list."""
        outer = next((loop for loop in self.loops if loop.over is not None or loop.paired), None)
        return outer is not None and outer.number not in holder.born

    def _gathers(self, holder: AbstractValue) -> bool:
        """Whether a loop over many files runs that `holder` outlives."""
        return any(loop.fraction > 0 and not loop.each and loop.number not in holder.born for loop in self.loops)

    def is_of_piece(self, holder: AbstractValue) -> bool:
        """Whether it was made anew for the piece of the input that is at hand."""
        over = [loop for loop in self.loops if loop.fraction > 0]
        return bool(over) and all(loop.number in holder.born for loop in over)

    def _take_kind(self, holder: AbstractValue, item: AbstractValue, *, spread: bool) -> None:
        """A list that is filled piece by piece, and may be kept whole, is of its items' kind from the first on."""
        if holder.fraction > 0:
            return
        foreign = item.kind == "unknown" and item.origin
        if holder.kind == "list" and item.kind == "path_of_many":
            holder.kind, holder.fraction, holder.item = "paths", 1.0, item
            return
        if holder.kind in ("list", "dict") and item.kind in CALLABLE:
            before = holder.item.parts if holder.item is not None and holder.item.kind == "choice" else {}
            holder.item = AbstractValue(kind="choice", parts=before | {str(len(before)): item})
        if holder.kind in ("list", "dict") and (foreign or item.kind in ("output", "file", "object", "queue")):
            holder.item = holder.item or item
        if holder.kind in ("dict", "set", "counter") and item.of_input and self.is_of_piece(holder):
            holder.item, holder.of_input = holder.item or item, True  # {w for w in line.split()}, by hand
        if holder.kind not in ("list", "text", "bytes"):
            return
        if item.of_input or item.kind == "token":
            kind = collected(holder, item, spread=spread)
            if kind is not None:
                holder.kind, holder.of_input = kind, True
        if holder.value is not None:
            holder.value = None  # it is no constant any more

    def flush(self, abstract: AbstractValue) -> None:
        """It was emptied or let go: what grew in it does not stay."""
        if abstract.kind == "dict":  # {"ids": [], "labels": []}
            for part in abstract.parts.values():
                if part is not abstract and part.kind != "dict":
                    self.flush(part)
        for loop in self.loops:
            if loop.number not in abstract.born:
                loop.flushed.append(abstract)
                if self._limit >= LARGE_LIMIT:
                    loop.limits[id(abstract)] = self._limit

    @contextmanager
    def emptied_at(self, limit: float) -> Iterator[None]:
        """What is flushed in the block is so where it has grown to so many bytes."""
        before, self._limit = self._limit, limit or self._limit
        try:
            yield
        finally:
            self._limit = before

    def _settle(self, loop: Loop) -> None:
        if loop.fraction <= 0 or not loop.grown:
            return
        flushed = {id(abstract) for abstract in loop.flushed}
        by_holder: dict[int, list[Growth]] = {}
        for growth in loop.grown:
            if limit := loop.limits.get(id(growth.holder)):
                self.report(growth_rule(None, growth.holder), growth.node, "numbers", held=0.0, fixed=limit)
                self.note_peak(fixed=limit, line=getattr(growth.node, "lineno", 0))
            if id(growth.holder) not in flushed:
                by_holder.setdefault(id(growth.holder), []).append(growth)
        for growths in by_holder.values():
            self._become(growths[0].holder, growths, loop.fraction, each=loop.each)

    def _become(self, holder: AbstractValue, growths: list[Growth], fraction: float, *, each: bool) -> None:
        """The container holds what all these places have put in; each that puts in much is reported."""
        costs = [(growth, retained(growth, fraction, self.shape)) for growth in growths]
        costs = [one for number, one in enumerate(costs) if not _is_told(one, costs[:number])]
        for growth, cost in costs:
            worth = WORTH_TELLING if cost.kind else SMALL_OBJECTS
            if cost.total >= worth or (cost.kind and cost.weight == 1.0 and cost.cost > 0):
                rule = growth_rule(cost.kind, holder)
                self.report(rule, growth.node, cost.kind or "numbers", held=cost.total, each=each)
            if cost.kind is None and growth.item.kind == "unknown" and growth.item.of_input:
                self.cannot_see(growth.node, "keeps something for each piece of the input; how much is not known")
        growth, most = max(costs, key=lambda pair: pair[1].total)
        self._hold(holder, growth, most, fraction, each=each)
        lines = {id(growth.node): cost.extra for growth, cost in costs}
        holder.extra = max(holder.extra, sum(lines.values()))
        self.note_peak(line=holder.line)

    def _hold(self, holder: AbstractValue, growth: Growth, cost: Retained, fraction: float, *, each: bool) -> None:
        if not holder.line or cost.total > self.cost(holder):
            holder.line = getattr(growth.node, "lineno", 0)
        holder.each = each and (holder.fraction <= 0 or holder.each)
        if cost.kind is not None and not growth.spread:
            holder.item = holder.item or kept_item(growth.item)
        if cost.kind is not None and holder.fraction < fraction:
            holder.kind, holder.fraction, holder.of_input, holder.weight = cost.kind, fraction, True, cost.weight

    def _add_whole(self, holder: AbstractValue, item: AbstractValue, node: ast.AST, *, spread: bool) -> None:
        """What holds much already is taken in; its objects are shared unless they are text or an array."""
        kind = collected(holder, item, spread=spread)
        copies = spread and (item.kind in ("text", "bytes", "file_array") or item.kind.startswith("array"))
        holder.parts[f"item {len(holder.parts)}"] = item
        if kind is None:
            return
        rule = growth_rule(kind, holder)
        if copies:
            holder.kind, holder.fraction = item.kind, holder.fraction + item.fraction
            self.report(rule, node, holder.kind, held=self.cost(holder))
            holder.parts.clear()
        elif spread:
            holder.kind, holder.fraction, holder.of_input = kind, max(holder.fraction, item.fraction), True
            self.report(rule, node, kind, held=self.cost(item))
            holder.parts.clear()
        elif holder.kind == "list" and any(n not in holder.born for n in item.born):  # one in each turn of a loop
            self.report(rule, node, kind, held=self.cost(item), each=item.each)
        self.note_peak(line=getattr(node, "lineno", 0))

    def report_slots(self, made: AbstractValue, rule: str, node: ast.AST) -> None:
        """Report a list of objects that are there already, where its slots are worth telling."""
        if made.weight == 1.0 or self.cost(made) >= WORTH_TELLING:
            self.report(rule, node, made.kind, held=self.cost(made), each=made.each)


_GONE_THROUGH = frozenset({*ARRAYS, "file_array", "column"})


def _is_first_list(iterable: AbstractValue) -> bool:
    return iterable.kind in LISTS and "of" not in iterable.parts


def list_behind(iterable: AbstractValue) -> AbstractValue | None:
    """The list in memory that is gone through: `docs`, `docs[i + 1 :]`, `enumerate(docs)`, `range(len(docs))`."""
    for _ in range(_DEEPEST_SOURCE):
        if iterable.kind == "range" and isinstance(iterable.value, AbstractValue):
            iterable = iterable.value
        elif iterable.fraction > 0 and (iterable.kind in _GONE_THROUGH or _is_first_list(iterable)):
            return iterable
        elif iterable.value == "piece":  # docs[i : i + 100]
            return None
        elif iterable.kind in (*LISTS, "stream") and ("of" in iterable.parts or "0" in iterable.parts):
            iterable = iterable.parts.get("of") or iterable.parts["0"]
        else:
            return None
    return None


def _is_told(one: tuple[Growth, Retained], before: list[tuple[Growth, Retained]]) -> bool:
    """Whether an entry of a table is most likely one that a line before it makes: `d[x] = 0`, then `d[x] = n`."""
    growth, cost = one
    if cost.kind is not None or growth.holder.kind not in ("dict", "set") or growth.holder.inner is not None:
        return False
    return any(earlier.kind is None and other.node is not growth.node for other, earlier in before)
