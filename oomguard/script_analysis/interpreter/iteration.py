"""Going through values: what passes by in a loop or a comprehension, and what a comprehension keeps."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from oomguard.script_analysis.file_names import reads
from oomguard.script_analysis.interpreter.findings import PAIR_BYTES, Growth, retained
from oomguard.script_analysis.interpreter.interpretation import Interpretation
from oomguard.script_analysis.interpreter.memory_model import SMALL_OBJECTS
from oomguard.script_analysis.interpreter.values import (
    CONTAINED,
    FRAMES,
    LIST_OF,
    OCTETS,
    WHOLE_ITEMS,
    AbstractValue,
    Frame,
    kept_item,
    rule_for,
)


class Iteration(Interpretation):
    """Comprehensions, generators, yield."""

    def iterated(self, abstract: AbstractValue) -> AbstractValue:
        """Give what a `for` goes through: a value with the fraction of the input that passes by."""
        begins = self.special(abstract, "__iter__")
        if begins is not None:
            made = self.call_function(begins, [abstract], {})
            follows = self.special(made, "__next__")
            return made if follows is None else self._one_by_one(made, follows)
        if abstract.kind == "kvstore":
            self.memory.readers.add(self.line)
            value = AbstractValue(kind="chunk", of_input=True)
            pair = AbstractValue(kind="tuple", of_input=True, parts={"0": AbstractValue(kind="value"), "1": value})
            return self.memory.new("stream", fraction=1.0, item=pair, of_input=True)
        if abstract.kind in ("file", "dataset") and not abstract.small:
            self.memory.readers.add(self.line)
            each = "many" in abstract.parts or abstract.each
            return self.memory.new(
                "stream", fraction=1.0, item=_one_of(abstract), parts={"source": abstract}, each=each
            )
        if abstract.kind == "paths":
            return AbstractValue(
                kind="paths",
                fraction=1.0 if abstract.fraction else 0.0,
                item=AbstractValue(kind="path_of_many"),
                born=abstract.born,
            )
        if abstract.kind in FRAMES and abstract.fraction > 0:
            item = AbstractValue(kind="unknown")
            return AbstractValue(
                kind="stream", fraction=abstract.fraction, item=item, parts={"frame": abstract}, each=abstract.each
            )
        if abstract.kind == "unknown" and abstract.origin:
            return self._foreign(abstract)
        if abstract.kind == "tee":
            source = abstract.parts["source"]
            kind = LIST_OF.get(source.one().kind)
            if source.fraction > 0 and kind is not None:
                self.memory.make("growing-list", abstract.value, kind, source.fraction, each=source.each)
            return abstract.parts["source"]
        return abstract

    def _one_by_one(self, source: AbstractValue, follows: AbstractValue) -> AbstractValue:
        """An object with `__next__`: what that gives, again and again."""
        with self.memory.loop(0.0) as loop:
            item = self.call_function(follows, [source], {})
        return self.memory.new("stream", fraction=loop.fraction, item=item, of_input=True, count=loop.count)

    def _foreign(self, abstract: AbstractValue) -> AbstractValue:
        """`for document in read_documents():` of a library that nothing is known of."""
        if not reads(abstract.origin) and not abstract.of_input:
            return abstract
        self.memory.cannot_see_line(self.line, f"{abstract.origin}() may hold what is iterated over here")
        if not reads(abstract.origin):
            return abstract
        item = AbstractValue(kind="unknown", of_input=True)
        return AbstractValue(kind="stream", fraction=1.0, item=item, born=abstract.born)

    def visit_Yield(self, node: ast.Yield) -> AbstractValue:
        """`line = yield`: what somebody sends, a piece each time."""
        self.yields(node)
        self.memory.advance(AbstractValue(born=self.memory.frames[-1].entered))
        return self.memory.new("document", of_input=True)

    def yields(self, node: ast.Yield) -> AbstractValue:
        """Give a value to whoever goes through the generator."""
        value = self.evaluate(node.value) if node.value else AbstractValue()
        self.yielded[-1].append((value, list(self.memory.loops)))
        return AbstractValue()

    def visit_YieldFrom(self, node: ast.YieldFrom) -> AbstractValue:
        iterable = self.iterated(self.evaluate(node.value))
        with self.memory.loop(iterable.fraction, each=iterable.each) as loop:
            self.yielded[-1].append((self.item_in(loop, iterable), [*self.memory.loops]))
        return AbstractValue()

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> AbstractValue:
        return self._comprehension(node)

    visit_SetComp = visit_ListComp
    visit_GeneratorExp = visit_ListComp

    def visit_DictComp(self, node: ast.DictComp) -> AbstractValue:
        return self._comprehension(node)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> AbstractValue:
        self.memory.frames.append(Frame(entered=self.memory.running()))
        self.homes.append([self.memory.frames[-2], *(self.homes[-1] if self.homes else [])])
        self.globals.append(set())
        try:
            passed = self._generate(node.generators, node)
        finally:
            self.memory.frames.pop()
            self.homes.pop()
            self.globals.pop()
        if isinstance(node, ast.GeneratorExp):
            return self.memory.new(
                "stream", fraction=passed.fraction, item=passed.item, of_input=passed.fraction > 0,
                parts={"of": passed.source}, each=passed.each,
            )  # fmt: skip
        return self._kept(node, passed)

    def _kept(self, node: ast.ListComp | ast.SetComp | ast.DictComp, passed: _Passed) -> AbstractValue:
        """All that the comprehension makes, in a list, a set or a dict."""
        item, container = passed.item, {ast.SetComp: "set", ast.DictComp: "dict"}.get(type(node), "list")
        if passed.paired:
            return self._kept_pairs(node, item)
        if item.fraction > 0 and not item.each:
            return self.memory.new("list", of_input=True, parts={"0": item})
        growth = Growth(
            holder=AbstractValue(kind=container), item=item, node=node, spread=False, count=passed.count
        )  # fmt: skip
        known = item.of_input or item.fraction > 0 or item.kind in ("token", "character", *WHOLE_ITEMS)
        cost = retained(growth, passed.fraction, self.memory.shape)
        with self.memory.keeping([passed.source]):
            if cost.kind is None or not known:
                return self._kept_small(node, passed, container, cost.extra)
            if cost.weight == 1.0:
                made = self.memory.make(
                    rule_for(cost.kind), node, cost.kind, passed.fraction, each=passed.each, more=cost.extra
                )
                made.extra = cost.extra
            else:
                made = self.memory.new(
                    cost.kind, fraction=passed.fraction, weight=cost.weight, of_input=True, line=node.lineno,
                    each=passed.each, extra=cost.extra,
                )  # fmt: skip
                self.memory.report_slots(made, rule_for(cost.kind), node)
                self.memory.note_peak(self.memory.cost(made), line=node.lineno)
        made.item = item if item.kind in WHOLE_ITEMS else kept_item(item)
        return made

    def _kept_pairs(self, node: ast.ListComp | ast.SetComp | ast.DictComp, item: AbstractValue) -> AbstractValue:
        """One for each pair: all of them where this goes over both, or, in a loop over one, a row of them."""
        around = any(loop.over is not None for loop in self.memory.loops)
        if not around:
            self.memory.report("all-by-all", node, "pairs", held=0.0, squared=PAIR_BYTES)
            return self.memory.new("list", of_input=True)
        return self.memory.new("list", of_input=True, item=item if item.of_input else None, paired=True)

    def _kept_small(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp, passed: _Passed, container: str, extra: float
    ) -> AbstractValue:
        """A small thing for each item, or something that nobody knows."""
        item = passed.item
        if passed.fraction > 0 and item.kind == "unknown" and item.of_input:
            self.memory.cannot_see(node, "keeps something for each piece of the input; how much is not known")
        if item.kind == "path_of_many":
            return self.memory.new("paths", fraction=1.0, item=item)
        if container == "list" and item.kind == "number" and passed.source.kind in OCTETS and passed.source.of_input:
            if passed.fraction > 0:
                return self.memory.make("list-of-input", node, "octets", passed.fraction, each=passed.each)
            return self.memory.new("octets", of_input=True)
        made = self.memory.new(container, of_input=item.of_input, line=node.lineno, each=passed.each)
        if item.of_input or item.kind in CONTAINED:
            made.item = item
        if extra >= SMALL_OBJECTS:
            made.extra = extra
            self.memory.report("growing-list" if container == "list" else "growing-table", node, "numbers", held=extra)
        return made

    def _generate(self, generators: list[ast.comprehension], node: ast.expr) -> _Passed:
        """Give the element, the fraction of the input that passes by, and what is kept alive meanwhile."""
        first = generators[0]
        iterable = self.iterated(self.evaluate(first.iter))
        with self.memory.keeping([iterable]), self.memory.loop(iterable.fraction, each=iterable.each) as loop:
            by = self.item_in(loop, iterable)
            self.bind(first.target, by)
            for condition in first.ifs:
                self.evaluate(condition)
            if len(generators) > 1:
                inner = self._generate(generators[1:], node)
                item, fraction, count = inner.item, inner.fraction, max(loop.count, inner.count)
            else:
                item, fraction, count = counted(self._element(node), by), 0.0, loop.count
            whole = max(loop.fraction, fraction, 0.0 if item.each else item.fraction)
            paired = loop.paired or (len(generators) > 1 and inner.paired) or item.paired
        return _Passed(item=item, fraction=whole, count=count, source=iterable, each=loop.each, paired=paired)

    def _element(self, node: ast.expr) -> AbstractValue:
        """What is made for each item; of a key and its value, the one that counts."""
        if not isinstance(node, ast.DictComp):
            assert isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp))
            return self.evaluate(node.elt)
        key, value = self.evaluate(node.key), self.evaluate(node.value)
        counts = key.of_input and key.kind not in ("word", "character", "token", "unknown")
        return key if counts and not LIST_OF.get(value.kind) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Passed:
    """What a comprehension's loops bring by."""

    item: AbstractValue
    fraction: float
    count: float
    source: AbstractValue
    each: bool
    paired: bool  # one for each pair of what a list holds


def counted(item: AbstractValue, by: AbstractValue) -> AbstractValue:
    """A number for each character, word or token: there are about as many."""
    if item.of_input or item.kind not in ("unknown", "number", "list", "dict", "element"):
        return item
    if by.kind in ("character", "token"):
        return AbstractValue(kind=by.kind, of_input=by.of_input, weight=by.weight)  # a table looked up for each
    if by.kind == "word" and item.kind in ("unknown", "number", "element"):
        return AbstractValue(kind="token", of_input=by.of_input)
    return item


def _one_of(abstract: AbstractValue) -> AbstractValue:
    return abstract.item or AbstractValue(kind="record" if abstract.kind == "dataset" else "line", of_input=True)
