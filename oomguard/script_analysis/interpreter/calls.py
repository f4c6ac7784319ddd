"""One call that a script makes, as those see it who know what the called value does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oomguard.script_analysis.interpreter.values import AbstractValue

if TYPE_CHECKING:
    import ast


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
Methods = tuple[tuple[frozenset[str], Handler], ...]
