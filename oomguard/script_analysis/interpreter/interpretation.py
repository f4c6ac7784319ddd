"""What every part of the interpreter shares: names, what an expression is handed to, and what is not known."""

from __future__ import annotations

import ast
from collections import Counter
from typing import TYPE_CHECKING

from oomguard.script_analysis.file_names import (
    collects,
    gives_a_number,
    is_data_file,
    is_no_data,
    is_outside,
    is_small_file,
    is_stepwise,
    may_hold,
    opens_output,
    path_name,
    reads,
    writes,
)
from oomguard.script_analysis.interpreter.values import STREAMED, AbstractValue, Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from oomguard.script_analysis.interpreter.calls import Libraries
    from oomguard.script_analysis.interpreter.findings import Loop
    from oomguard.script_analysis.interpreter.memory_model import MemoryModel

_WHOLE = frozenset({"file", "parquet", *STREAMED})


def _is_all(given: AbstractValue) -> bool:
    """Whether it is the input itself, as a file or as what goes through it."""
    return not given.small and not given.each and "many" not in given.parts and (
        given.kind == "file" or (given.kind in STREAMED and given.fraction > 0)
    )  # fmt: skip


class Interpretation:
    """The state of going through a script."""

    def __init__(
        self,
        memory: MemoryModel,
        libraries: Libraries,
        find_module: Callable[[str, int], ast.Module | None] | None = None,
    ) -> None:
        self.memory = memory
        self.libraries = libraries
        self.find_module = find_module or (lambda _, __: None)
        self.trees: list[ast.Module] = []
        self.own_modules: dict[str, AbstractValue] = {}
        self.module = Frame()
        self.functions: list[AbstractValue] = []
        self.lambdas: list[AbstractValue] = []
        self.of_others: dict[int, AbstractValue] = {}  # classes with a parent from elsewhere
        self.bodies: list[AbstractValue] = []  # all classes
        self.made: dict[int, AbstractValue] = {}  # an object of each class
        self.called: set[int] = set()
        self.times: Counter[int] = Counter()
        self.calls: list[int] = []
        self.homes: list[list[Frame]] = []
        self.globals: list[set[str]] = [set()]
        self.returned: list[list[AbstractValue]] = [[]]
        self.yielded: list[list[tuple[AbstractValue, list[Loop]]]] = [[]]
        self.defaults: dict[str, object] = {}  # of the script's own flags: argparse's add_argument(default=)
        self.given_files: dict[str, AbstractValue] = {}  # of the script's own flags: argparse.FileType
        self.classes: dict[int, str] = {}  # of which class a method is
        self.imported = 0  # how many modules are being gone through, one within the other
        self.recursive: dict[int, bool] = {}  # whether a function calls itself
        self.branching: set[str] = set()  # names of tables that other tables are put into
        self.once: frozenset[str] = frozenset()  # what `if x is None:` is about: given a value only the first time
        self.causes: set[str] = set()  # names of errors that others are raised from
        self.runs = True
        self.bases: dict[int, list[AbstractValue]] = {}  # of the class that a method is of
        self.steps = 0
        self.most_steps = 200_000  # functions that call each other can be gone through very often
        self.line = 0

    def call_function(
        self, function: AbstractValue, args: list[AbstractValue], kwargs: dict[str, AbstractValue]
    ) -> AbstractValue:
        raise NotImplementedError

    def special(self, owner: AbstractValue, name: str) -> AbstractValue | None:
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

    def frame_of(self, name: str) -> Frame:
        """Give the names among which `name` is, or comes to be."""
        frame = self.memory.frames[-1]
        if name in self.globals[-1]:
            around = self.homes[-1] if self.homes else []
            return next((home for home in around if name in home), self.module)
        return frame

    def unknown_call(
        self, name: str, args: Sequence[AbstractValue], *, node: ast.AST, owner: AbstractValue | None = None
    ) -> AbstractValue:
        """What nobody knows, given a piece of the input, gives another piece; given all of it, nobody can tell."""
        for given in args:  # whose methods may be called by it
            if given.kind == "object" and given is not owner and "class" in given.parts:
                self.of_others[id(given.parts["class"])] = given.parts["class"]
        origin = (owner.origin if owner is not None else "") or name
        outside = is_outside(origin) and (owner is None or bool(owner.origin))
        if gives_a_number(name) or writes(name):
            return AbstractValue(kind="number" if gives_a_number(name) else "unknown")
        if owner is None and opens_output(name, [given.value for given in args[1:]]):
            return AbstractValue(kind="output")
        if owner is None and self._may_read(name, args, node):
            self.memory.cannot_see(node, f"{name}() may read all of it")
        elif outside:
            self._outside(name, args, node, owner)
        elif owner is None and not is_stepwise(name) and any(_is_all(one) for one in args):
            self.memory.cannot_see(node, f"{name}() is given all of it, and may hold it")
        piece = next((argument for argument in args if argument.of_input or argument.fraction > 0), None)
        if piece is None:
            return self.memory.new("unknown", origin=origin if outside else "")
        if piece.kind in ("text", "line", "document", "word", "value"):
            return self.memory.new("document", of_input=True)
        if piece.kind in ("stream", "file") and piece.fraction > 0:
            return piece
        return self.memory.new("unknown", of_input=True, origin=origin if outside else "")

    def _may_read(self, name: str, args: Sequence[AbstractValue], node: ast.AST) -> bool:
        """Whether a function of some library is given the path of data."""
        if is_no_data(name) or not (is_outside(name) or (may_hold(name) and reads(name))):
            return False
        for given in args:
            data = isinstance(given.value, str) and is_data_file(given.value)
            path = given.kind in ("path", "path_of_many", "paths") or (given.kind == "unknown" and not given.origin)
            if data or (reads(name) and path and not given.small and not given.of_input):
                return not is_small_file(*(path_name(argument) for argument in getattr(node, "args", [])[:1]))
        return False

    def _outlives(self, owner: AbstractValue) -> bool:
        """Whether it was there before a loop over the input began."""
        return any(loop.fraction > 0 and loop.number not in owner.born for loop in self.memory.loops)

    def _outside(self, name: str, args: Sequence[AbstractValue], node: ast.AST, owner: AbstractValue | None) -> None:
        """Note a call of a library that nothing is known of."""
        line = getattr(node, "lineno", 0)
        if self.memory.reached:
            self.memory.outsiders.setdefault(line, name)
        whole = [one for one in args if not one.small and (one.kind in _WHOLE or (one.fraction > 0 and not one.each))]
        if any(one.kind != "paths" for one in whole):
            self.memory.cannot_see(node, f"{name}() is given all of it, and may hold it")
        elif (
            owner is not None and collects(name) and self._outlives(owner) and any(not one.is_constant for one in args)
        ):
            self.memory.cannot_see(node, f"{name}() may keep each piece that it is given")
