"""What every part of the interpreter shares: names, what an expression is handed to, and what is not known."""

from __future__ import annotations

import ast
from collections import Counter
from typing import TYPE_CHECKING

from oomguard.script_analysis.file_names import gives_a_number
from oomguard.script_analysis.interpreter.values import AbstractValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.script_analysis.interpreter.calls import Libraries
    from oomguard.script_analysis.interpreter.memory_model import Loop, MemoryModel

CALLED = "a call's result"


class Interpretation:
    """The state of going through a script."""

    def __init__(self, memory: MemoryModel, libraries: Libraries) -> None:
        self.memory = memory
        self.libraries = libraries
        self.module: dict[str, AbstractValue] = {}
        self.functions: list[AbstractValue] = []
        self.called: set[int] = set()
        self.times: Counter[int] = Counter()
        self.calls: list[int] = []
        self.homes: list[list[dict[str, AbstractValue]]] = []
        self.globals: list[set[str]] = [set()]
        self.returned: list[list[AbstractValue]] = [[]]
        self.yielded: list[list[tuple[AbstractValue, list[Loop]]]] = [[]]
        self.defaults: dict[str, object] = {}  # of the script's own flags: argparse's add_argument(default=)
        self.steps = 0
        self.line = 0

    def call_function(
        self, function: AbstractValue, args: list[AbstractValue], kwargs: dict[str, AbstractValue]
    ) -> AbstractValue:
        raise NotImplementedError

    def statements(self, body: Sequence[ast.stmt]) -> None:
        raise NotImplementedError

    def bind(self, target: ast.expr, value: AbstractValue) -> None:
        raise NotImplementedError

    def iterated(self, abstract: AbstractValue) -> AbstractValue:
        raise NotImplementedError

    def item_in(self, loop: Loop, iterable: AbstractValue) -> AbstractValue:
        raise NotImplementedError

    def largest(self, abstracts: Sequence[AbstractValue]) -> AbstractValue:
        raise NotImplementedError

    def evaluate(self, node: ast.expr, *, hint: str = "") -> AbstractValue:
        """Give what an expression stands for; `hint` is the name that it is given to."""
        handler = getattr(self, f"visit_{type(node).__name__}", None)
        if handler is None:
            return AbstractValue()
        if isinstance(node, ast.Call):
            return self.visit_Call(node, hint=hint)
        abstract: AbstractValue = handler(node)
        return abstract

    def visit_Call(self, node: ast.Call, *, hint: str = "") -> AbstractValue:
        raise NotImplementedError

    def frame_of(self, name: str) -> dict[str, AbstractValue]:
        """Give the names among which `name` is, or comes to be."""
        frame = self.memory.frames[-1]
        if name in self.globals[-1]:
            around = self.homes[-1] if self.homes else []
            return next((home for home in around if name in home), self.module)
        return frame

    def unknown_call(self, name: str, args: Sequence[AbstractValue]) -> AbstractValue:
        """What nobody knows, given a piece of the input, gives another piece."""
        piece = next((argument for argument in args if argument.of_input or argument.fraction > 0), None)
        if gives_a_number(name):
            return AbstractValue()
        if piece is None:
            return AbstractValue(value=CALLED)
        if piece.kind in ("text", "line", "document", "word"):
            return self.memory.new("document", of_input=True)
        if piece.kind in ("stream", "file") and piece.fraction > 0:
            return piece
        return AbstractValue(of_input=True, value=CALLED)
