"""One call that a script makes, as those see it who know what the called thing does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oomguard.script_analysis.interpreter.values import Thing

if TYPE_CHECKING:
    import ast


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call with its arguments seen already."""

    node: ast.Call
    args: list[Thing]
    kwargs: dict[str, Thing]
    hint: str = ""  # the name that the result is given to
    owner: Thing = field(default_factory=Thing)  # of a method
    name: str = ""  # of a method


# What an expression's call gives; None: this method is not known there. The first argument is the Expressions at work.
Handler = Callable[[Any, Call], Thing | None]
Methods = tuple[tuple[frozenset[str], Handler], ...]
