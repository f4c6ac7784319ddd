"""The expressions: what each gives, by what it is made of."""

from __future__ import annotations

import ast
import operator
from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.calls import Call
from oomguard.script_analysis.interpreter.elements import Elements
from oomguard.script_analysis.interpreter.iteration import Iteration
from oomguard.script_analysis.interpreter.values import Thing, text_source
from oomguard.script_analysis.libraries import pools as known_pools
from oomguard.script_analysis.libraries import registry as known
from oomguard.script_analysis.libraries import tokenizers as known_tokenizers

if TYPE_CHECKING:
    from collections.abc import Callable

_NUMBERS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Div: operator.truediv,
    ast.LShift: operator.lshift,
    ast.Pow: operator.pow,
}
_MOST = 1e15  # a number beyond is no size, and might take long to compute


class Expressions(Elements, Iteration):
    """Gives a Thing for each expression."""

    def see_Name(self, node: ast.Name) -> Thing:
        around = self.homes[-1] if self.homes else []
        for frame in (self.frame_of(node.id), *around, self.module):
            if node.id in frame:
                return frame[node.id]
        return Thing(sort="module", value=f"builtins.{node.id}")

    def see_Constant(self, node: ast.Constant) -> Thing:
        if isinstance(node.value, str):
            return Thing(sort="text", value=node.value)
        if isinstance(node.value, bytes):
            return Thing(sort="bytes", value=node.value)
        return Thing(sort="number" if isinstance(node.value, (int, float)) else "none", value=node.value)

    def see_JoinedStr(self, node: ast.JoinedStr) -> Thing:
        seen = [self.evaluate(part.value) for part in node.values if isinstance(part, ast.FormattedValue)]
        largest = self.largest(seen)
        return self.ledger.new("line", of_input=largest.of_input) if largest.of_input else Thing()

    def see_List(self, node: ast.List | ast.Tuple | ast.Set) -> Thing:
        elements = [self.evaluate(element) for element in node.elts]
        if not elements:
            return self.ledger.new("set" if isinstance(node, ast.Set) else "list")
        if isinstance(node, ast.Tuple) or any(element.share > 0 for element in elements):
            return self.ledger.new("tuple", parts={str(number): one for number, one in enumerate(elements)})
        made = self.ledger.new("list", of_input=any(one.of_input for one in elements))
        one = self.largest(elements)
        if isinstance(node.elts[0], ast.Starred) or any(isinstance(element, ast.Starred) for element in node.elts):
            made.item = one.one()
        elif one.of_input:
            made.item = one
        return made

    see_Tuple = see_List
    see_Set = see_List

    def see_Dict(self, node: ast.Dict) -> Thing:
        values = [self.evaluate(value) for value in node.values]
        largest = self.largest(values)
        if largest.share > 0:
            return self.ledger.new("dict", parts={str(number): one for number, one in enumerate(values)})
        # With something of the input in it, it is a record; else an empty or fixed table.
        return self.ledger.new("record" if largest.of_input else "dict", of_input=largest.of_input)

    def see_Starred(self, node: ast.Starred | ast.Await) -> Thing:
        return self.evaluate(node.value)

    see_Await = see_Starred

    def see_NamedExpr(self, node: ast.NamedExpr) -> Thing:
        value = self.evaluate(node.value, hint=node.target.id)
        self.bind(node.target, value)
        return value

    def see_IfExp(self, node: ast.IfExp) -> Thing:
        self.evaluate(node.test)
        return self.largest([self.evaluate(node.body), self.evaluate(node.orelse)])

    def see_BoolOp(self, node: ast.BoolOp) -> Thing:
        return self.largest([self.evaluate(value) for value in node.values])

    def see_Compare(self, node: ast.Compare) -> Thing:
        for part in (node.left, *node.comparators):
            self.evaluate(part)
        return Thing(sort="number")

    def see_UnaryOp(self, node: ast.UnaryOp) -> Thing:
        thing = self.evaluate(node.operand)
        if isinstance(node.op, ast.USub) and isinstance(thing.value, (int, float)):
            return Thing(sort="number", value=-thing.value)
        return Thing(sort="number")

    def see_BinOp(self, node: ast.BinOp) -> Thing:
        left, right = self.evaluate(node.left), self.evaluate(node.right)
        if left.sort == "number" and right.sort == "number":
            return _computed(node.op, left, right)
        if isinstance(node.op, ast.Div) and (left.sort in ("path", "paths", "module", "unknown", "parameter")):
            return Thing(sort="path", value=text_source(node), small=left.small)
        larger = self.largest([left, right])
        if isinstance(node.op, ast.Add) and larger.share > 0:
            total = min(1.0, left.share + right.share)
            with self.ledger.keeping([left, right]):
                return self.ledger.make("copy", node, larger.sort, total, way="joined" if larger.sort == "text" else "")
        if isinstance(node.op, ast.Add) and larger.of_input:
            one = left if left.of_input else right
            return self.ledger.new(one.sort, of_input=True, item=one.item)
        if isinstance(node.op, ast.Mod) and larger.of_input:
            return self.ledger.new("line", of_input=True)
        return Thing(sort="number" if "number" in (left.sort, right.sort) else "unknown")

    def see_Lambda(self, node: ast.Lambda) -> Thing:
        return Thing(sort="function", value=node, home=self.ledger.frames[-1])

    def see_Call(self, node: ast.Call, *, hint: str = "") -> Thing:
        if isinstance(node.func, ast.Attribute):
            owner = self.evaluate(node.func.value)
            bound = self._bound_method(owner, node.func.attr)
            if bound is not None:
                args, kwargs = self._given(node)
                return self.call_function(bound, [owner, *args], kwargs)
            if owner.sort != "module":
                args, kwargs = self._given(node)
                with self.ledger.keeping([owner, *args, *kwargs.values()]):
                    return known.call_method(
                        self, Call(node=node, owner=owner, name=node.func.attr, args=args, kwargs=kwargs, hint=hint)
                    )
        function = self.evaluate(node.func)
        args, kwargs = self._given(node)
        with self.ledger.keeping([*args, *kwargs.values()]):
            return self.call(node, function, args, kwargs, hint=hint)

    def _bound_method(self, owner: Thing, name: str) -> Thing | None:
        if owner.sort == "object":
            method = owner.parts["class"].parts.get(name)
            return method if method is not None and method.sort == "function" else None
        return None

    def _given(self, node: ast.Call) -> tuple[list[Thing], dict[str, Thing]]:
        args = [self.evaluate(argument) for argument in node.args]
        return args, {word.arg or "**": self.evaluate(word.value) for word in node.keywords}

    def call(
        self, node: ast.Call, function: Thing, args: list[Thing], kwargs: dict[str, Thing], *, hint: str = ""
    ) -> Thing:
        """Give what a call of `function` gives."""
        if function.sort == "function":
            return self.call_function(function, args, kwargs)
        if function.sort == "class":
            return self._make_object(function, args, kwargs)
        if function.sort == "module":
            found = known.call_function(self, function.value, Call(node=node, args=args, kwargs=kwargs, hint=hint))
            if found is not None:
                return found
            name = str(function.value)
            if known_tokenizers.is_tokenizer(name):
                return known_tokenizers.encode(self, node, args, kwargs, wrapped=True)
        elif function.sort == "tokenizer":
            name = str(function.value or "")
            return known_tokenizers.encode(self, node, args, kwargs, name=name, wrapped=not name)
        elif function.sort == "parallel":
            return known_pools.collect_results(self, node, args)
        else:
            name = text_source(node.func)
            if known_tokenizers.is_tokenizer(name):
                return known_tokenizers.encode(self, node, args, kwargs, wrapped=True)
        return self.unknown_call(name, args)

    def _make_object(self, body: Thing, args: list[Thing], kwargs: dict[str, Thing]) -> Thing:
        made = self.ledger.new("object", parts={"class": body})
        if "__init__" in body.parts:
            self.call_function(body.parts["__init__"], [made, *args], kwargs)
        elif args:
            made.parts |= {str(number): one for number, one in enumerate(args)}
        return made


def _computed(operator: ast.operator, left: Thing, right: Thing) -> Thing:
    if left.fraction is not None and isinstance(right.value, (int, float)) and isinstance(operator, ast.Mult):
        return Thing(sort="number", fraction=left.fraction * float(right.value))
    if right.fraction is not None and isinstance(left.value, (int, float)) and isinstance(operator, ast.Mult):
        return Thing(sort="number", fraction=right.fraction * float(left.value))
    if (
        left.fraction is not None
        and isinstance(right.value, (int, float))
        and right.value
        and isinstance(operator, (ast.Div, ast.FloorDiv))
    ):
        return Thing(sort="number", fraction=left.fraction / float(right.value))
    function = _NUMBERS.get(type(operator))
    if function and all(isinstance(one.value, (int, float)) and abs(one.value) < _MOST for one in (left, right)):
        if isinstance(operator, (ast.Pow, ast.LShift)) and right.value > 64:
            return Thing(sort="number")
        try:
            return Thing(sort="number", value=function(left.value, right.value))
        except ArithmeticError:
            return Thing(sort="number")
    return Thing(sort="number")
