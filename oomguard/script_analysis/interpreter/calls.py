"""One call that a script makes, as those see it who know what the called value does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from oomguard.script_analysis.interpreter.values import AbstractValue

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterable

    from oomguard.script_analysis.interpreter.memory_model import MemoryModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call with its arguments seen already."""

    node: ast.Call
    args: list[AbstractValue]
    kwargs: dict[str, AbstractValue]
    hint: str = ""  # the name that the result is given to
    owner: AbstractValue = field(default_factory=AbstractValue)  # of a method
    name: str = ""  # of a method


# What an expression's call gives; None: this method is not known there. The first argument is the Expressions at work.
Handler = Callable[[Any, Call], AbstractValue | None]


class Libraries(Protocol):
    """What the interpreter asks of those who know Python's own functions and the usual libraries."""

    def attribute(self, memory: MemoryModel, name: str) -> AbstractValue:
        """Give a library's attribute by its dotted name."""

    def call_function(self, it: Any, name: str, call: Call) -> AbstractValue | None:
        """Give what a function with this dotted name gives; None where it is not known."""

    def call_method(self, it: Any, call: Call) -> AbstractValue:
        """Give what the method `call.name` of `call.owner` gives."""

    def call_value(self, it: Any, function: AbstractValue, name: str, call: Call) -> AbstractValue | None:
        """Give what calling `function` gives, which is neither the script's own nor a library's by its name."""

    def pairwise(self, it: Any, node: ast.AST, matrix: AbstractValue) -> AbstractValue:
        """Give all rows of a matrix by all rows."""

    def makes_tokens(self, name: str) -> bool:
        """Whether a method of this name makes token ids of a text."""

    def is_frame_method(self, name: str) -> bool:
        """Whether a table has a method of this name, rather than a column."""


# Which function or method does what: the modules of libraries/ write themselves into these tables when imported.
#
# Sources: the libraries' own documentation; what each holds was measured (oomguard.preparation.reading.text_shape).

FUNCTIONS: dict[str, Handler] = {}  # by dotted name, or by the last two parts of it
LAST_NAMES: dict[str, Handler] = {}  # whatever they are imported from
METHODS: dict[str, Handler] = {}  # by the kind of their owner
FRAME_METHODS: set[str] = set()  # of tables; any other attribute of one is a column
ANYWHERE: dict[str, Handler] = {}  # methods that tell by their name what they do, whatever they are called on


def methods_of(kinds: Iterable[str], handler: Handler) -> None:
    """Register what all methods of these kinds of values do."""
    METHODS.update(dict.fromkeys(kinds, handler))
