"""What every part of the interpreter shares: names, what an expression is handed to, and what is not known."""

from __future__ import annotations

import ast
from collections import Counter
from typing import TYPE_CHECKING

from oomguard.script_analysis.file_names import gives_a_number
from oomguard.script_analysis.interpreter.values import Thing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.script_analysis.interpreter.memory_model import Ledger, Loop

CALLED = "a call's result"


class Interpretation:
    """The state of going through a script."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.module: dict[str, Thing] = {}
        self.functions: list[Thing] = []
        self.called: set[int] = set()
        self.times: Counter[int] = Counter()
        self.calls: list[int] = []
        self.homes: list[list[dict[str, Thing]]] = []
        self.globals: list[set[str]] = [set()]
        self.returned: list[list[Thing]] = [[]]
        self.yielded: list[list[tuple[Thing, list[Loop]]]] = [[]]
        self.defaults: dict[str, object] = {}  # of the script's own flags: argparse's add_argument(default=)
        self.steps = 0
        self.line = 0

    def call_function(self, function: Thing, args: list[Thing], kwargs: dict[str, Thing]) -> Thing:
        raise NotImplementedError

    def statements(self, body: Sequence[ast.stmt]) -> None:
        raise NotImplementedError

    def bind(self, target: ast.expr, value: Thing) -> None:
        raise NotImplementedError

    def iterated(self, thing: Thing) -> Thing:
        raise NotImplementedError

    def item_in(self, loop: Loop, iterable: Thing) -> Thing:
        raise NotImplementedError

    def largest(self, things: Sequence[Thing]) -> Thing:
        raise NotImplementedError

    def evaluate(self, node: ast.expr, *, hint: str = "") -> Thing:
        """Give what an expression stands for; `hint` is the name that it is given to."""
        handler = getattr(self, f"see_{type(node).__name__}", None)
        if handler is None:
            return Thing()
        if isinstance(node, ast.Call):
            return self.see_Call(node, hint=hint)
        thing: Thing = handler(node)
        return thing

    def see_Call(self, node: ast.Call, *, hint: str = "") -> Thing:
        raise NotImplementedError

    def frame_of(self, name: str) -> dict[str, Thing]:
        """Give the names among which `name` is, or comes to be."""
        frame = self.ledger.frames[-1]
        if name in self.globals[-1]:
            around = self.homes[-1] if self.homes else []
            return next((home for home in around if name in home), self.module)
        return frame

    def unknown_call(self, name: str, args: Sequence[Thing]) -> Thing:
        """What nobody knows, given a piece of the input, gives another piece."""
        piece = next((argument for argument in args if argument.of_input or argument.share > 0), None)
        if gives_a_number(name):
            return Thing()
        if piece is None:
            return Thing(value=CALLED)
        if piece.sort in ("text", "line", "document", "word"):
            return self.ledger.new("document", of_input=True)
        if piece.sort in ("stream", "file") and piece.share > 0:
            return piece
        return Thing(of_input=True, value=CALLED)
