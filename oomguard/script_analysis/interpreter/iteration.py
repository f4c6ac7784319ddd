"""Going through things: what passes by in a loop or a comprehension, and what a comprehension keeps."""

from __future__ import annotations

import ast

from oomguard.script_analysis.interpreter.interpretation import CALLED, Interpretation
from oomguard.script_analysis.interpreter.values import FRAMES, LIST_OF, Thing, rule_for


class Iteration(Interpretation):
    """Comprehensions, generators, yield."""

    def iterated(self, thing: Thing) -> Thing:
        """Give what a `for` goes through: a thing with the share of the input that passes by."""
        if thing.sort == "object" and "__iter__" in thing.parts.get("class", Thing()).parts:
            return self.call_function(thing.parts["class"].parts["__iter__"], [thing], {})
        if thing.sort in ("file", "dataset") and not thing.small:
            return self.ledger.new("stream", share=1.0, item=_one_of(thing), parts={"source": thing})
        if thing.sort == "paths":
            return Thing(
                sort="paths", share=1.0 if thing.share else 0.0, item=Thing(sort="path_of_many"), born=thing.born
            )
        if thing.sort in FRAMES and thing.share > 0:
            return Thing(sort="stream", share=thing.share, item=Thing(sort="unknown"), parts={"frame": thing})
        if thing.sort == "unknown" and thing.value is CALLED:  # `for document in read_documents():` of some other file
            return Thing(sort="stream", share=1.0, item=Thing(of_input=True), born=thing.born)
        return thing

    def see_Yield(self, node: ast.Yield) -> Thing:
        value = self.evaluate(node.value) if node.value else Thing()
        self.yielded[-1].append((value, list(self.ledger.loops)))
        return Thing()

    def see_YieldFrom(self, node: ast.YieldFrom) -> Thing:
        iterable = self.iterated(self.evaluate(node.value))
        with self.ledger.loop(iterable.share) as loop:
            self.yielded[-1].append((self.item_in(loop, iterable), [*self.ledger.loops]))
        return Thing()

    def see_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> Thing:
        return self._comprehension(node, node.elt)

    see_SetComp = see_ListComp
    see_GeneratorExp = see_ListComp

    def see_DictComp(self, node: ast.DictComp) -> Thing:
        return self._comprehension(node, node.value)

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, element: ast.expr
    ) -> Thing:
        self.ledger.frames.append({})
        self.homes.append([self.ledger.frames[-2], *(self.homes[-1] if self.homes else [])])
        self.globals.append(set())
        try:
            item, share, kept = self._generate(node.generators, element)
        finally:
            self.ledger.frames.pop()
            self.homes.pop()
            self.globals.pop()
        if isinstance(node, ast.GeneratorExp):
            return self.ledger.new("stream", share=share, item=item, of_input=share > 0, parts={"of": kept})
        sort = (
            LIST_OF.get(item.sort) if item.of_input or item.share > 0 or item.sort in ("token", "character") else None
        )
        if isinstance(node, ast.SetComp) and sort in ("words", "characters", "tokens"):
            sort = None  # a vocabulary: it grows ever more slowly
        if sort is None:
            return self.ledger.new("list", of_input=item.of_input, item=item if item.of_input else None)
        if item.share > 0:
            return self.ledger.new("list", of_input=True, parts={"0": item})
        with self.ledger.keeping([kept]):
            if item.weight == 1.0:
                return self.ledger.make(rule_for(sort), node, sort, share)
            made = self.ledger.new(sort, share=share, weight=item.weight, of_input=True, line=node.lineno)
            self.ledger.trap_of(made, rule_for(sort), node)
            self.ledger.note_peak(self.ledger.cost(made), line=node.lineno)
            return made

    def _generate(self, generators: list[ast.comprehension], element: ast.expr) -> tuple[Thing, float, Thing]:
        """Give the element, the share of the input that passes by, and what is kept alive meanwhile."""
        first = generators[0]
        iterable = self.iterated(self.evaluate(first.iter))
        with self.ledger.keeping([iterable]), self.ledger.loop(iterable.share) as loop:
            passed = self.item_in(loop, iterable)
            self.bind(first.target, passed)
            for condition in first.ifs:
                self.evaluate(condition)
            if len(generators) > 1:
                item, share, _ = self._generate(generators[1:], element)
            else:
                item, share = self.evaluate(element), 0.0
                if (
                    item.sort in ("unknown", "number", "list", "dict")
                    and not item.of_input
                    and passed.sort in ("character", "token")
                ):
                    item = Thing(
                        sort=passed.sort, of_input=passed.of_input, weight=passed.weight
                    )  # a table looked up for each
                elif item.sort in ("unknown", "number") and not item.of_input and passed.sort == "word":
                    # a number for each word: there are about as many as tokens
                    item = Thing(sort="token", of_input=passed.of_input, weight=passed.weight)
            whole = max(loop.share, share, item.share)
        return item, whole, iterable


def _one_of(thing: Thing) -> Thing:
    return thing.item or Thing(sort="record" if thing.sort == "dataset" else "line", of_input=True)
