"""Functions and classes of the script itself: gone through where they are called, with what they are given."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.expressions import Expressions
from oomguard.script_analysis.interpreter.values import Thing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.script_analysis.interpreter.memory_model import Loop

_DEEPEST_CALL = 12
_MOST_CALLS = 60  # of one function: some call each other very often


class Functions(Expressions):
    """Definitions and calls."""

    def do_FunctionDef(self, statement: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        function = Thing(sort="function", value=statement, home=self.ledger.frames[-1])
        self.functions.append(function)
        self.bind(ast.Name(id=statement.name), function)

    do_AsyncFunctionDef = do_FunctionDef

    def do_ClassDef(self, statement: ast.ClassDef) -> None:
        body = Thing(sort="class", value=statement, home=self.ledger.frames[-1])
        for member in statement.body:
            if isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef)):
                method = Thing(sort="function", value=member, home=self.ledger.frames[-1])
                body.parts[member.name] = method
                self.functions.append(method)
            elif isinstance(member, ast.Assign) and isinstance(member.targets[0], ast.Name):
                body.parts[member.targets[0].id] = self.evaluate(member.value)
        self.bind(ast.Name(id=statement.name), body)

    def call_function(
        self, function: Thing, args: list[Thing], kwargs: dict[str, Thing], *, unknown: Thing | None = None
    ) -> Thing:
        """Go through a function's body with these arguments; what is not given is `unknown`."""
        node = function.value
        self.called.add(id(node))
        self.times[id(node)] += 1
        if id(node) in self.calls or len(self.calls) > _DEEPEST_CALL or self.times[id(node)] > _MOST_CALLS:
            return Thing()
        frame = self._arguments(node.args, args, kwargs, unknown or Thing())
        around = [f for f in (function.home,) if f is not None and f is not self.module]
        self.calls.append(id(node))
        self.homes.append(around)
        self.globals.append(set())
        self.returned.append([])
        self.yielded.append([])
        self.ledger.frames.append(frame)
        try:
            if isinstance(node, ast.Lambda):
                self.returned[-1].append(self.evaluate(node.body))
            else:
                self.statements(node.body)
        finally:
            self.ledger.frames.pop()
            self.calls.pop()
            self.homes.pop()
            self.globals.pop()
            returned, yielded = self.returned.pop(), self.yielded.pop()
        if yielded:
            return self._stream_of(yielded, frame)
        return self.largest(returned)

    def _stream_of(self, yielded: list[tuple[Thing, list[Loop]]], frame: dict[str, Thing]) -> Thing:
        item = self.largest([thing for thing, _ in yielded])
        share = max((loop.share for _, loops in yielded for loop in loops), default=0.0)
        stream = self.ledger.new("stream", share=share, item=item, of_input=share > 0 or item.of_input)
        stream.parts = {name: thing for name, thing in frame.items() if thing.share > 0}
        return stream

    def _arguments(
        self, wanted: ast.arguments, args: list[Thing], kwargs: dict[str, Thing], unknown: Thing
    ) -> dict[str, Thing]:
        names = [argument.arg for argument in (*wanted.posonlyargs, *wanted.args)]
        frame = {name: Thing(sort=unknown.sort) for name in names}
        frame |= {argument.arg: Thing(sort=unknown.sort) for argument in wanted.kwonlyargs}
        for name, default in zip(reversed(names), reversed(wanted.defaults), strict=False):
            frame[name] = self.evaluate(default)
        for argument, given in zip(wanted.kwonlyargs, wanted.kw_defaults, strict=True):
            if given is not None:
                frame[argument.arg] = self.evaluate(given)
        frame |= dict(zip(names, args, strict=False))
        frame |= {name: thing for name, thing in kwargs.items() if name in frame}
        return frame

    def largest(self, things: Sequence[Thing]) -> Thing:
        """Of what an expression may give, the one that holds most; then one of which something is known."""
        return max(
            things,
            key=lambda thing: (
                thing.share > 0,
                self.ledger.cost(thing),
                thing.sort not in ("unknown", "number", "none"),
            ),
            default=Thing(sort="none"),
        )
