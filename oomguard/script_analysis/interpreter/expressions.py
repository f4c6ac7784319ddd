"""The expressions: what each gives, by what it is made of."""

from __future__ import annotations

import ast
import builtins
import operator
from typing import TYPE_CHECKING

from oomguard.script_analysis.file_names import is_in_memory
from oomguard.script_analysis.interpreter.calls import Call
from oomguard.script_analysis.interpreter.elements import Elements
from oomguard.script_analysis.interpreter.iteration import Iteration
from oomguard.script_analysis.interpreter.values import ARRAYS, CALLABLE, STREAMED, AbstractValue, text_source

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
OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "truediv", ast.FloorDiv: "floordiv", ast.Mod: "mod",
    ast.LShift: "lshift", ast.RShift: "rshift", ast.BitOr: "or", ast.BitAnd: "and", ast.BitXor: "xor",
    ast.MatMult: "matmul", ast.Pow: "pow",
}  # fmt: skip
_MOST = 1e15  # a number beyond is no size, and might take long to compute


class Expressions(Elements, Iteration):
    """Gives a AbstractValue for each expression."""

    def visit_Name(self, node: ast.Name) -> AbstractValue:
        around = self.homes[-1] if self.homes else []
        for frame in (self.frame_of(node.id), *around, self.module):
            if node.id in frame:
                return frame[node.id]
        return AbstractValue(kind="module", value=f"builtins.{node.id}" if hasattr(builtins, node.id) else node.id)

    def visit_Constant(self, node: ast.Constant) -> AbstractValue:
        if isinstance(node.value, str):
            return self.memory.new("text", value=node.value)
        if isinstance(node.value, bytes):
            return self.memory.new("bytes", value=node.value)
        return AbstractValue(kind="number" if isinstance(node.value, (int, float)) else "none", value=node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> AbstractValue:
        seen = [self.evaluate(part.value) for part in node.values if isinstance(part, ast.FormattedValue)]
        largest = self.largest(seen)
        if largest.of_input:
            return self.memory.new("line", of_input=True)
        memory = any(one.named == "memory" or is_in_memory(one.value) for one in seen) or is_in_memory(
            text_source(node)
        )
        return self.memory.new("text", named="memory" if memory else "")

    def visit_List(self, node: ast.List | ast.Tuple | ast.Set) -> AbstractValue:
        elements = [self.evaluate(element) for element in node.elts]
        for element, value in zip(node.elts, elements, strict=True):
            source = self.iterated(value) if isinstance(element, ast.Starred) else value
            if isinstance(element, ast.Starred) and source.fraction > 0 and source.kind != "paths":
                return self.memory.keep_all(node, source, "set" if isinstance(node, ast.Set) else "list")
        if not elements:
            return self.memory.new("set" if isinstance(node, ast.Set) else "list", named="empty")
        if isinstance(node, ast.Tuple) or any(element.fraction > 0 for element in elements):
            return self.memory.new(
                "tuple",
                parts={str(number): one for number, one in enumerate(elements)},
                of_input=any(element.of_input for element in elements),
            )
        if all(one.kind in CALLABLE for one in elements):
            choice = AbstractValue(kind="choice", parts={str(number): one for number, one in enumerate(elements)})
            return self.memory.new("list", item=choice)
        kind = "set" if isinstance(node, ast.Set) else "list"
        made = self.memory.new(kind, of_input=any(one.of_input for one in elements))
        one = self.largest(elements)
        if isinstance(node.elts[0], ast.Starred) or any(isinstance(element, ast.Starred) for element in node.elts):
            made.item = one.one()
        elif one.of_input:
            made.item = one
        elif elements[-1].kind in ("tuple", "output", "file", "object", "queue"):
            made.item = elements[-1]
        return made

    visit_Tuple = visit_List
    visit_Set = visit_List

    def visit_Dict(self, node: ast.Dict) -> AbstractValue:
        values = [self.evaluate(value) for value in node.values]
        largest = self.largest(values)
        names = [_constant_key(key) or str(number) for number, key in enumerate(node.keys)]
        if largest.fraction > 0:
            return self.memory.new("dict", parts=dict(zip(names, values, strict=True)))
        filled = {name: one for name, one in zip(names, values, strict=True) if one.kind in ("list", "set", "counter")}
        if filled and not largest.of_input:  # {"ids": [], "labels": []}: each is filled by its name
            return self.memory.new("dict", parts=filled)
        if values and all(one.kind in CALLABLE for one in values):
            choice = AbstractValue(kind="choice", parts={str(number): one for number, one in enumerate(values)})
            return self.memory.new("dict", item=choice)
        # With something of the input in it, it is a record; else an empty or fixed table.
        made = self.memory.new("record" if largest.of_input else "dict", of_input=largest.of_input)
        keys = [self.evaluate(key) for key in node.keys if key is not None]
        if not largest.of_input and any(key.of_input for key in keys):
            made.of_input, made.item = True, self.largest([key for key in keys if key.of_input])
        elif not largest.of_input:
            made.item = next((one for one in values if one.kind in ("output", "file", "object", "queue", "dict")), None)
        elif largest.kind in ("tokens", "token_lists", "array2", "array4", "array8"):
            return self.memory.new("dict", of_input=True, item=largest)
        return made

    def visit_Starred(self, node: ast.Starred) -> AbstractValue:
        return self.evaluate(node.value)

    def visit_Await(self, node: ast.Await) -> AbstractValue:
        awaited = self.evaluate(node.value)
        return awaited.parts.get("result", awaited) if awaited.kind == "future" else awaited

    def visit_NamedExpr(self, node: ast.NamedExpr) -> AbstractValue:
        value = self.evaluate(node.value, hint=node.target.id)
        self.bind(node.target, value)
        return value

    def visit_IfExp(self, node: ast.IfExp) -> AbstractValue:
        self.evaluate(node.test)
        return self.largest([self.evaluate(node.body), self.evaluate(node.orelse)])

    def visit_BoolOp(self, node: ast.BoolOp) -> AbstractValue:
        return self.largest([self.evaluate(value) for value in node.values])

    def visit_Compare(self, node: ast.Compare) -> AbstractValue:
        parts = [self.evaluate(part) for part in (node.left, *node.comparators)]
        if isinstance(node.ops[0], (ast.In, ast.NotIn)) and (own := self.special(parts[1], "__contains__")) is not None:
            self.call_function(own, [parts[1], parts[0]], {})
        return AbstractValue(kind="number")

    def visit_UnaryOp(self, node: ast.UnaryOp) -> AbstractValue:
        abstract = self.evaluate(node.operand)
        if isinstance(node.op, ast.USub) and isinstance(abstract.value, (int, float)):
            return AbstractValue(kind="number", value=-abstract.value)
        return AbstractValue(kind="number")

    def visit_BinOp(self, node: ast.BinOp) -> AbstractValue:
        left, right = self.evaluate(node.left), self.evaluate(node.right)
        if left.kind == "number" and right.kind == "number":
            return _computed(node.op, left, right)
        own = self._operator(node.op, left, right)
        if own is not None:
            return own
        if any(one.named == "memory" or is_in_memory(one.value) for one in (left, right)) and isinstance(
            node.op, (ast.Add, ast.Div, ast.Mod)
        ):
            return AbstractValue(kind="path", named="memory", value=text_source(node))
        if isinstance(node.op, ast.Div) and (left.kind in ("path", "paths", "module", "unknown", "parameter")):
            memory = "memory" if is_in_memory(text_source(node)) else ""
            return AbstractValue(kind="path", value=text_source(node), small=left.small, named=memory)
        if right.of_length and left.kind == "module" and str(left.value).startswith("ctypes."):
            return AbstractValue(kind="sized", of_length=right.of_length)
        larger = self.largest([left, right])
        if left.fraction > 0 and right.fraction > 0 and _adds_axis(node.left) and _adds_axis(node.right):
            return self.libraries.pairwise(self, node, larger)  # x[:, None] - x[None, :]
        if isinstance(node.op, ast.Add) and larger.fraction > 0:
            total = min(1.0, left.fraction + right.fraction)
            with self.memory.keeping([left, right]):
                return self.memory.make(
                    "copy", node, larger.kind, total, representation="joined" if larger.kind == "text" else ""
                )
        if isinstance(node.op, ast.Add) and (left.of_input or right.of_input):
            one = left if left.of_input else right
            if one.kind in ("document", "value"):  # another text, whoever has the parts
                return self.memory.new("document", of_input=True)
            return self.memory.new(one.kind, of_input=True, item=one.item)
        if isinstance(node.op, ast.Mod) and larger.of_input:
            return self.memory.new("line", of_input=True)
        if isinstance(node.op, ast.Mod) and left.kind == "text":
            return self.memory.new("text")
        if isinstance(node.op, ast.MatMult) and left.fraction > 0 and right.fraction > 0:
            return self.libraries.pairwise(self, node, larger)
        if larger.fraction > 0 and larger.kind in (*ARRAYS, "file_array", "stored", "matrix"):
            with self.memory.keeping([left, right]):  # x * 2 is another array
                made = self.memory.make(
                    "copy", node, "file_array", larger.fraction, weight=larger.weight, each=larger.each
                )
                made.value = larger.value
                return made
        if isinstance(node.op, ast.Mult) and left.kind == "list":
            return left
        return AbstractValue(kind="number" if "number" in (left.kind, right.kind) else "unknown")

    def _operator(self, operator: ast.operator, left: AbstractValue, right: AbstractValue) -> AbstractValue | None:
        """What `a << b` gives where one of them says so itself."""
        name = OPERATORS.get(type(operator), "")
        for one, other, method in ((left, right, f"__{name}__"), (right, left, f"__r{name}__")):
            own = self.special(one, method) if name else None
            if own is not None:
                return self.call_function(own, [one, other], {})
        return None

    def visit_Lambda(self, node: ast.Lambda) -> AbstractValue:
        names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        defaults = zip(reversed(names), reversed(node.args.defaults), strict=False)
        parts = {f"default {name}": self.evaluate(default) for name, default in defaults}
        function = AbstractValue(kind="function", value=node, home=self.memory.frames[-1], parts=parts)
        self.lambdas.append(function)
        return function

    def visit_Call(self, node: ast.Call, *, hint: str = "") -> AbstractValue:
        if isinstance(node.func, ast.Attribute):
            inherited = self._inherited(node.func)
            if inherited is not None:
                args, kwargs = self._given(node)
                return self.call_function(inherited, [next(iter(self.memory.frames[-1].values())), *args], kwargs)
            owner = self.downloaded(self.evaluate(node.func.value), node)
            bound = self._bound_method(owner, node.func.attr)
            if bound is not None:
                args, kwargs = self._given(node)
                return self.call_function(bound, [*_first(bound, owner), *args], kwargs)
            runs = self._bound_method(owner, "run") if node.func.attr == "start" and owner.kind == "object" else None
            if runs is not None:  # of a class whose parent is a Thread or a Process
                with self.memory.loop(0.0):
                    return self.call_function(runs, [owner], {})
            held = owner.parts.get(node.func.attr) if owner.kind == "object" else None
            if held is not None and held.kind in ("bound", "function", "partial", "class", "object"):
                args, kwargs = self._given(node)
                return self.call(node, held, args, kwargs, hint=hint)
            if owner.kind == "own_module":
                args, kwargs = self._given(node)
                member = owner.home.get(node.func.attr, AbstractValue()) if owner.home is not None else AbstractValue()
                return self.call(node, member, args, kwargs, hint=hint)
            if owner.kind != "module":
                args, kwargs = self._given(node)
                with self.memory.keeping([owner, *args, *kwargs.values()]):
                    return self.libraries.call_method(
                        self, Call(node=node, owner=owner, name=node.func.attr, args=args, kwargs=kwargs, hint=hint)
                    )
        function = self.evaluate(node.func)
        args, kwargs = self._given(node)
        with self.memory.keeping([*args, *kwargs.values()]):
            return self.call(node, function, args, kwargs, hint=hint)

    def special(self, owner: AbstractValue, name: str) -> AbstractValue | None:
        """A method with a name as `__call__` of an object of the script's own."""
        return self._bound_method(owner, name) if owner.kind != "class" else None

    def _bound_method(self, owner: AbstractValue, name: str) -> AbstractValue | None:
        body = owner if owner.kind == "class" else owner.parts.get("class")
        method = body.parts.get(name) if body is not None else None
        return method if method is not None and method.kind == "function" else None

    def _inherited(self, function: ast.Attribute) -> AbstractValue | None:
        """`super().method`: the method of a base that the script defines."""
        called = function.value
        if not (isinstance(called, ast.Call) and isinstance(called.func, ast.Name) and called.func.id == "super"):
            return None
        bases = self.bases.get(self.calls[-1], []) if self.calls and self.memory.frames[-1] else []
        found = [base.parts[function.attr] for base in bases if function.attr in base.parts]
        return found[0] if found and found[0].kind == "function" else None

    def _given(self, node: ast.Call) -> tuple[list[AbstractValue], dict[str, AbstractValue]]:
        args = [self._starred(node, argument) for argument in node.args]
        if isinstance(node.func, ast.Attribute) and node.func.attr.startswith("write"):
            if any(one.kind == "download" for one in args):
                self.memory.cannot_see(node, "the answer is whole in memory before it is written")
        else:
            args = [self.downloaded(one, node) for one in args]
        kwargs = {word.arg or "**": self.evaluate(word.value) for word in node.keywords}
        if "**" in kwargs and kwargs["**"].named == "keywords":  # **kwargs of the function that is called
            kwargs |= kwargs.pop("**").parts
        if any(isinstance(one, ast.Starred) for one in node.args):
            spread = zip(node.args, args, strict=True)
            args = [one for argument, value in spread for one in _spread(argument, value)]
        return args, kwargs

    def _starred(self, node: ast.Call, argument: ast.expr) -> AbstractValue:
        """An argument; of `*lines` all are in memory before the call."""
        value = self.evaluate(argument)
        source = self.iterated(value) if isinstance(argument, ast.Starred) else value
        if isinstance(argument, ast.Starred) and source.kind in STREAMED and source.fraction > 0:
            return self.memory.keep_all(node, source)
        return value

    def call(
        self,
        node: ast.Call,
        function: AbstractValue,
        args: list[AbstractValue],
        kwargs: dict[str, AbstractValue],
        *,
        hint: str = "",
    ) -> AbstractValue:
        """Give what a call of `function` gives."""
        if function.kind == "function":
            return self.call_function(function, args, kwargs)
        if function.kind == "class":
            return self._make_object(function, args, kwargs)
        if function.kind == "partial":
            first = list(function.parts.values())
            return self.call(node, function.parts["function"], [*first[1:], *args], {**function.value, **kwargs})
        if function.kind == "bound":
            return self._call_bound(node, function, args, kwargs)
        called = self.special(function, "__call__")
        if called is not None:
            return self.call_function(called, [function, *args], kwargs)
        if function.kind == "choice":
            return self.largest([self.call(node, one, args, kwargs) for one in function.parts.values()])
        given = Call(node=node, args=args, kwargs=kwargs, hint=hint)
        name = str(function.value) if function.kind == "module" else text_source(node.func)
        found = self.libraries.call_function(self, name, given) if function.kind == "module" else None
        found = found or self.libraries.call_value(self, function, name, given)
        if found is not None:
            return found
        owner = None if function.kind == "module" else function
        return self.unknown_call(name, [*args, *kwargs.values()], node=node, owner=owner)

    def _call_bound(
        self, node: ast.Call, bound: AbstractValue, args: list[AbstractValue], kwargs: dict[str, AbstractValue]
    ) -> AbstractValue:
        """`add = rows.append; add(line)`: the same as `rows.append(line)`."""
        owner = bound.parts["self"]
        if "function" in bound.parts:
            return self.call_function(bound.parts["function"], [owner, *args], kwargs)
        with self.memory.keeping([owner, *args, *kwargs.values()]):
            return self.libraries.call_method(
                self, Call(node=node, owner=owner, name=str(bound.value), args=args, kwargs=kwargs)
            )

    def _make_object(
        self, body: AbstractValue, args: list[AbstractValue], kwargs: dict[str, AbstractValue]
    ) -> AbstractValue:
        made = self.memory.new(body.named or "object", parts={"class": body})
        self.made.setdefault(id(body), made)
        creates = self._bound_method(body, "__new__")
        if creates is not None:
            self.call_function(creates, [body, *args], kwargs)
        begins = self._bound_method(body, "__init__")
        if begins is not None:
            self.call_function(begins, [made, *args], kwargs)
        elif args or kwargs:
            fields = [name for name, _ in _fields(body.value)]
            names = [fields[number] if number < len(fields) else str(number) for number in range(len(args))]
            made.parts |= dict(zip(names, args, strict=True)) | kwargs
        if begins is None:
            for name, member in _fields(body.value):
                if isinstance(member.value, ast.Call) and name not in made.parts:  # field(default_factory=list)
                    made.parts[name] = self.evaluate(member.value)
        return made


def _spread(argument: ast.expr, value: AbstractValue) -> list[AbstractValue]:
    """The arguments that `*args` is."""
    is_several = isinstance(argument, ast.Starred) and value.kind == "tuple" and value.fraction <= 0
    return list(value.parts.values()) if is_several else [value]


def _adds_axis(node: ast.expr) -> bool:
    """Whether it is x[:, None] or x[np.newaxis, :]."""
    within = node.slice.elts if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple) else []
    return any(text_source(one) in ("None", "np.newaxis", "numpy.newaxis") for one in within)


def _constant_key(key: ast.expr | None) -> str:
    return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else ""


def _fields(body: object) -> list[tuple[str, ast.AnnAssign]]:
    """The fields of a dataclass, in their order."""
    members = body.body if isinstance(body, ast.ClassDef) else []
    return [
        (member.target.id, member) for member in members
        if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name)
    ]  # fmt: skip


def _first(method: AbstractValue, owner: AbstractValue) -> list[AbstractValue]:
    """What a method is given before its arguments: the object, the class, or nothing."""
    kinds = {ast.unparse(decorator) for decorator in getattr(method.value, "decorator_list", [])}
    if "staticmethod" in kinds:
        return []
    if "classmethod" in kinds:
        return [owner.parts.get("class", owner)]
    return [owner] if owner.kind != "class" else []


def _computed(operator: ast.operator, left: AbstractValue, right: AbstractValue) -> AbstractValue:
    if left.of_length is not None and isinstance(right.value, (int, float)) and isinstance(operator, ast.Mult):
        return AbstractValue(kind="number", of_length=left.of_length * float(right.value))
    if right.of_length is not None and isinstance(left.value, (int, float)) and isinstance(operator, ast.Mult):
        return AbstractValue(kind="number", of_length=right.of_length * float(left.value))
    if (
        left.of_length is not None
        and isinstance(right.value, (int, float))
        and right.value
        and isinstance(operator, (ast.Div, ast.FloorDiv))
    ):
        return AbstractValue(kind="number", of_length=left.of_length / float(right.value))
    function = _NUMBERS.get(type(operator))
    if function and all(isinstance(one.value, (int, float)) and abs(one.value) < _MOST for one in (left, right)):
        if isinstance(operator, (ast.Pow, ast.LShift)) and right.value > 64:
            return AbstractValue(kind="number")
        try:
            return AbstractValue(kind="number", value=function(left.value, right.value))
        except (ArithmeticError, ValueError):  # 1 / 0, 1 << -1
            return AbstractValue(kind="number")
    return AbstractValue(kind="number")
