"""Going through values: what passes by in a loop or a comprehension, and what a comprehension keeps."""

from __future__ import annotations

import ast

from oomguard.script_analysis.interpreter.interpretation import CALLED, Interpretation
from oomguard.script_analysis.interpreter.values import FRAMES, LIST_OF, AbstractValue, rule_for


class Iteration(Interpretation):
    """Comprehensions, generators, yield."""

    def iterated(self, abstract: AbstractValue) -> AbstractValue:
        """Give what a `for` goes through: a value with the fraction of the input that passes by."""
        if abstract.kind == "object" and "__iter__" in abstract.parts.get("class", AbstractValue()).parts:
            return self.call_function(abstract.parts["class"].parts["__iter__"], [abstract], {})
        if abstract.kind in ("file", "dataset") and not abstract.small:
            return self.memory.new("stream", fraction=1.0, item=_one_of(abstract), parts={"source": abstract})
        if abstract.kind == "paths":
            return AbstractValue(
                kind="paths",
                fraction=1.0 if abstract.fraction else 0.0,
                item=AbstractValue(kind="path_of_many"),
                born=abstract.born,
            )
        if abstract.kind in FRAMES and abstract.fraction > 0:
            return AbstractValue(
                kind="stream", fraction=abstract.fraction, item=AbstractValue(kind="unknown"), parts={"frame": abstract}
            )
        if (
            abstract.kind == "unknown" and abstract.value is CALLED
        ):  # `for document in read_documents():` of some other file
            return AbstractValue(kind="stream", fraction=1.0, item=AbstractValue(of_input=True), born=abstract.born)
        return abstract

    def visit_Yield(self, node: ast.Yield) -> AbstractValue:
        value = self.evaluate(node.value) if node.value else AbstractValue()
        self.yielded[-1].append((value, list(self.memory.loops)))
        return AbstractValue()

    def visit_YieldFrom(self, node: ast.YieldFrom) -> AbstractValue:
        iterable = self.iterated(self.evaluate(node.value))
        with self.memory.loop(iterable.fraction) as loop:
            self.yielded[-1].append((self.item_in(loop, iterable), [*self.memory.loops]))
        return AbstractValue()

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> AbstractValue:
        return self._comprehension(node, node.elt)

    visit_SetComp = visit_ListComp
    visit_GeneratorExp = visit_ListComp

    def visit_DictComp(self, node: ast.DictComp) -> AbstractValue:
        return self._comprehension(node, node.value)

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, element: ast.expr
    ) -> AbstractValue:
        self.memory.frames.append({})
        self.homes.append([self.memory.frames[-2], *(self.homes[-1] if self.homes else [])])
        self.globals.append(set())
        try:
            item, fraction, kept = self._generate(node.generators, element)
        finally:
            self.memory.frames.pop()
            self.homes.pop()
            self.globals.pop()
        if isinstance(node, ast.GeneratorExp):
            return self.memory.new("stream", fraction=fraction, item=item, of_input=fraction > 0, parts={"of": kept})
        kind = (
            LIST_OF.get(item.kind)
            if item.of_input or item.fraction > 0 or item.kind in ("token", "character")
            else None
        )
        if isinstance(node, ast.SetComp) and kind in ("words", "characters", "tokens"):
            kind = None  # a vocabulary: it grows ever more slowly
        if kind is None:
            return self.memory.new("list", of_input=item.of_input, item=item if item.of_input else None)
        if item.fraction > 0:
            return self.memory.new("list", of_input=True, parts={"0": item})
        with self.memory.keeping([kept]):
            if item.weight == 1.0:
                return self.memory.make(rule_for(kind), node, kind, fraction)
            made = self.memory.new(kind, fraction=fraction, weight=item.weight, of_input=True, line=node.lineno)
            self.memory.report_growth(made, rule_for(kind), node)
            self.memory.note_peak(self.memory.cost(made), line=node.lineno)
            return made

    def _generate(
        self, generators: list[ast.comprehension], element: ast.expr
    ) -> tuple[AbstractValue, float, AbstractValue]:
        """Give the element, the fraction of the input that passes by, and what is kept alive meanwhile."""
        first = generators[0]
        iterable = self.iterated(self.evaluate(first.iter))
        with self.memory.keeping([iterable]), self.memory.loop(iterable.fraction) as loop:
            passed = self.item_in(loop, iterable)
            self.bind(first.target, passed)
            for condition in first.ifs:
                self.evaluate(condition)
            if len(generators) > 1:
                item, fraction, _ = self._generate(generators[1:], element)
            else:
                item, fraction = self.evaluate(element), 0.0
                if (
                    item.kind in ("unknown", "number", "list", "dict")
                    and not item.of_input
                    and passed.kind in ("character", "token")
                ):
                    item = AbstractValue(
                        kind=passed.kind, of_input=passed.of_input, weight=passed.weight
                    )  # a table looked up for each
                elif item.kind in ("unknown", "number") and not item.of_input and passed.kind == "word":
                    # a number for each word: there are about as many as tokens
                    item = AbstractValue(kind="token", of_input=passed.of_input, weight=passed.weight)
            whole = max(loop.fraction, fraction, item.fraction)
        return item, whole, iterable


def _one_of(abstract: AbstractValue) -> AbstractValue:
    return abstract.item or AbstractValue(kind="record" if abstract.kind == "dataset" else "line", of_input=True)
