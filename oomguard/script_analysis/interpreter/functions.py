"""Functions and classes of the script itself: gone through where they are called, with what they are given."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.expressions import Expressions
from oomguard.script_analysis.interpreter.values import CALLABLE, AbstractValue, Frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.script_analysis.interpreter.findings import Loop

_DEEPEST_CALL = 12
_MOST_DECORATED = 20  # functions by one decorator, whose body is gone through for each
_MANY_ENTRIES = 1_000_000  # of a cache: more is as if there were no limit
_MOST_CALLS = 60  # of one function: some call each other very often


def _keeps_all(decorator: ast.expr) -> bool:
    """`@cache`, `@lru_cache(maxsize=None)`: it never forgets."""
    called = isinstance(decorator, ast.Call)
    name = ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator).rpartition(".")[2]
    if name == "cache":
        return True
    if name not in ("lru_cache", "memoize", "cached") or not isinstance(decorator, ast.Call):
        return False
    given = [word.value for word in decorator.keywords if word.arg in ("maxsize", "cache")] + decorator.args[:1]
    if not called or not given:
        return False
    if isinstance(given[0], ast.Dict) or ast.unparse(given[0]) == "dict()":  # cachetools' @cached({})
        return True
    value = given[0].value if isinstance(given[0], ast.Constant) else 0
    return value is None or (isinstance(value, int) and value > _MANY_ENTRIES)


# What a class of the script is, that is made from one of these.
_CONTAINERS = {
    "builtins.list": "list", "builtins.dict": "dict", "builtins.set": "set", "collections.UserDict": "dict",
    "collections.UserList": "list", "collections.OrderedDict": "dict", "collections.defaultdict": "dict",
    "collections.Counter": "counter", "collections.deque": "list",
}  # fmt: skip


_PLAIN_BASES = frozenset({
    "object", "ABC", "Generic", "typing.Protocol", "typing_extensions.Protocol", "NamedTuple", "TypedDict", "Enum",
    "IntEnum", "StrEnum", "Exception", "BaseModel",
})  # fmt: skip


def _is_plain(base: ast.expr, value: AbstractValue) -> bool:
    """Whether this parent calls nothing of its children by itself."""
    dotted = str(value.value) if value.kind == "module" else ast.unparse(base).partition("[")[0]
    name = dotted.rpartition(".")[2]
    return name in _PLAIN_BASES or dotted in _PLAIN_BASES or name.endswith("Error")


def _kind_of_method(method: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """`setter` of `@name.setter`, `property` of @property and @cached_property; "" of others."""
    names = {ast.unparse(decorator).rpartition(".")[2] for decorator in method.decorator_list}
    if names & {"setter", "deleter"}:
        return "setter" if "setter" in names else "deleter"
    return "property" if names & {"property", "cached_property"} else ""


class Functions(Expressions):
    """Definitions and calls."""

    def visit_FunctionDef(self, statement: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        function = AbstractValue(kind="function", value=statement, home=self.memory.frames[-1])
        self.functions.append(function)
        defaults = [*reversed(statement.args.defaults)]
        names = [argument.arg for argument in (*statement.args.posonlyargs, *statement.args.args)]
        for name, default in zip(reversed(names), defaults, strict=False):
            if isinstance(default, (ast.List, ast.Dict, ast.Set, ast.Call)):  # made once, and kept between the calls
                function.parts[f"default {name}"] = self.evaluate(default)
        cached = next(filter(_keeps_all, statement.decorator_list), None)
        if cached is not None:
            function.parts["kept calls"] = self.memory.new("dict", value=cached)
        self.bind(ast.Name(id=statement.name), self._decorated(statement, function))

    visit_AsyncFunctionDef = visit_FunctionDef

    def _decorated(self, statement: ast.FunctionDef | ast.AsyncFunctionDef, function: AbstractValue) -> AbstractValue:
        """What the script's own decorators make of a function; of others', the function."""
        for decorator in reversed(statement.decorator_list):
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if not isinstance(called, (ast.Name, ast.Attribute)):
                continue
            maker = self.evaluate(called)
            if self.times[id(maker.value)] > _MOST_DECORATED:
                continue
            if maker.kind not in ("function", "class", "partial", "bound") and not self.special(maker, "__call__"):
                continue
            if isinstance(decorator, ast.Call):
                maker = self.evaluate(decorator)
            elif maker.kind == "bound" and "function" not in maker.parts:
                continue  # rows.append
            call = ast.copy_location(ast.Call(func=called, args=[], keywords=[]), decorator)
            made = self.call(call, maker, [function], {})
            if made.kind in (*CALLABLE, "class") or self.special(made, "__call__"):
                function = made
        return function

    def visit_ClassDef(self, statement: ast.ClassDef) -> None:
        body = AbstractValue(kind="class", value=statement, home=self.memory.frames[-1])
        given = [self.evaluate(base) for base in statement.bases]
        bases = [base for base in given if base.kind == "class"]
        body.named = next(
            (name for base in given if (name := base.named or _CONTAINERS.get(str(base.value), ""))), ""
        )  # fmt: skip
        for base in reversed(bases):
            body.parts |= base.parts
        if any(id(base) in self.of_others for base in bases) or (
            len(given) > len(bases)
            and not body.named
            and not all(_is_plain(base, value) for base, value in zip(statement.bases, given, strict=True))
        ):
            self.of_others[id(body)] = body
        self.bodies.append(body)
        for member in statement.body:
            if isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef)):
                kind = _kind_of_method(member)
                method = AbstractValue(kind="function", value=member, home=self.memory.frames[-1], named=kind)
                self.functions.append(method)
                cached = next(filter(_keeps_all, member.decorator_list), None)
                if cached is not None:
                    method.parts["kept calls"] = self.memory.new("dict", value=cached)
                decorated = self._decorated(member, method)
                suffix = f" {kind}" if kind.endswith("ter") else ""
                body.parts[member.name + suffix] = decorated if decorated.kind == "function" else method
                self.classes[id(member)] = statement.name
                self.bases[id(member)] = bases
            elif isinstance(member, ast.Assign) and isinstance(member.targets[0], ast.Name):
                body.parts[member.targets[0].id] = self.evaluate(member.value)
            elif isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name) and member.value:
                body.parts[member.target.id] = self.evaluate(member.value)
        self.bind(ast.Name(id=statement.name), body)

    def call_function(
        self,
        function: AbstractValue,
        args: list[AbstractValue],
        kwargs: dict[str, AbstractValue],
        *,
        unknown: AbstractValue | None = None,
    ) -> AbstractValue:
        """Go through a function's body with these arguments; what is not given is `unknown`."""
        node = function.value
        self.called.add(id(node))
        self.times[id(node)] += 1
        if id(node) in self.calls or len(self.calls) > _DEEPEST_CALL or self.times[id(node)] > _MOST_CALLS:
            if id(node) not in self.calls:
                why = "calls functions so deeply or so often that they are not followed"
                self.memory.cannot_see_line(self.line, why)
            return AbstractValue()
        cache = function.parts.get("kept calls")
        if cache is not None:
            for one in args:
                self.memory.grow(cache, one, cache.value, spread=False)
        frame = self._arguments(node.args, args, kwargs, unknown or AbstractValue(), function.parts)
        frame |= self._opened_by(node)
        around = [] if function.home is None else [function.home, *function.home.around]
        around = frame.around = [one for one in around if one is not self.module]
        self.calls.append(id(node))
        self.homes.append(around)
        self.globals.append(set())
        self.returned.append([])
        self.yielded.append([])
        self.memory.frames.append(frame)
        try:
            if isinstance(node, ast.Lambda):
                self.returned[-1].append(self.evaluate(node.body))
            elif self._calls_itself(node):
                with self.memory.loop(0.0) as loop:
                    self.statements(node.body)
                if loop.fraction > 0 and any(one.kind not in ("none", "number") for one in self.returned[-1]):
                    self.memory.cannot_see(node, "calls itself for each piece; what that keeps is not known")
            else:
                self.statements(node.body)
        finally:
            self.memory.frames.pop()
            self.calls.pop()
            self.homes.pop()
            self.globals.pop()
            returned, yielded = self.returned.pop(), self.yielded.pop()
        if yielded:
            return self._stream_of(yielded, frame)
        if isinstance(node, ast.AsyncFunctionDef):
            return self._coroutine(self.largest(returned), [*args, *kwargs.values()])
        return self.largest(returned)

    def _coroutine(self, result: AbstractValue, given: list[AbstractValue]) -> AbstractValue:
        """A call that was not awaited yet: it keeps what it was given."""
        kept = self.largest([result, *(one for one in given if one.of_input and one.fraction <= 0)])
        return self.memory.new("future", item=kept, of_input=kept.of_input, parts={"result": result})

    def _calls_itself(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        """Whether it repeats by calling itself, as a loop would."""
        if id(node) not in self.recursive:
            called = (one.func for one in ast.walk(node) if isinstance(one, ast.Call))
            self.recursive[id(node)] = any(
                node.name == (one.attr if isinstance(one, ast.Attribute) else getattr(one, "id", None))
                for one in called
            )
        return self.recursive[id(node)]

    def _opened_by(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> dict[str, AbstractValue]:
        """`@click.argument("infile", type=click.File())`: the parameters that are open files."""
        found: dict[str, AbstractValue] = {}
        for decorator in getattr(node, "decorator_list", []):
            types = [word.value for word in getattr(decorator, "keywords", []) if word.arg == "type"]
            if not isinstance(decorator, ast.Call) or not types or "File(" not in ast.unparse(types[0]):
                continue
            names = [
                one.value for one in decorator.args if isinstance(one, ast.Constant) and isinstance(one.value, str)
            ]
            if names:
                found[names[-1].lstrip("-").replace("-", "_")] = self.evaluate(types[0])
        return found

    def _stream_of(self, yielded: list[tuple[AbstractValue, list[Loop]]], frame: Frame) -> AbstractValue:
        item = self.largest([abstract for abstract, _ in yielded])
        fraction = max((loop.fraction for _, loops in yielded for loop in loops), default=0.0)
        over = [loop for _, loops in yielded for loop in loops if loop.fraction > 0]
        each = bool(over) and all(loop.each for loop in over)
        stream = self.memory.new(
            "stream", fraction=fraction, item=item, of_input=fraction > 0 or item.of_input, each=each,
            named="generator", count=max((loop.count for loop in over), default=0.0),
        )  # fmt: skip
        stream.parts = {name: abstract for name, abstract in frame.items() if abstract.fraction > 0}
        return stream

    def _arguments(
        self,
        wanted: ast.arguments,
        args: list[AbstractValue],
        kwargs: dict[str, AbstractValue],
        unknown: AbstractValue,
        made: dict[str, AbstractValue],
    ) -> Frame:
        names = [argument.arg for argument in (*wanted.posonlyargs, *wanted.args)]
        frame = Frame(entered=self.memory.running())
        frame |= {name: AbstractValue(kind=unknown.kind) for name in names}
        frame |= {argument.arg: AbstractValue(kind=unknown.kind) for argument in wanted.kwonlyargs}
        if wanted.vararg is not None:
            rest = {str(number): one for number, one in enumerate(args[len(names) :])}
            frame[wanted.vararg.arg] = self.memory.new(
                "tuple", parts=rest, of_input=any(one.of_input for one in rest.values())
            )
        if wanted.kwarg is not None:
            others = {name: one for name, one in kwargs.items() if name not in frame}
            frame[wanted.kwarg.arg] = self.memory.new("dict", parts=others, named="keywords")
        for name, default in zip(reversed(names), reversed(wanted.defaults), strict=False):
            frame[name] = made.get(f"default {name}") or self.evaluate(default)
        for argument, given in zip(wanted.kwonlyargs, wanted.kw_defaults, strict=True):
            if given is not None:
                frame[argument.arg] = self.evaluate(given)
        frame |= dict(zip(names, args, strict=False))
        frame |= {name: abstract for name, abstract in kwargs.items() if name in frame}
        return frame

    def largest(self, abstracts: Sequence[AbstractValue]) -> AbstractValue:
        """Of what an expression may give, the one that holds most; then one of which something is known."""
        return max(
            abstracts,
            key=lambda abstract: (
                abstract.fraction > 0,
                self.memory.cost(abstract),
                abstract.kind not in ("unknown", "number", "none"),
            ),
            default=AbstractValue(kind="none"),
        )
