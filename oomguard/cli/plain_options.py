"""Options and arguments of a few plain kinds, read without Typer's heavy machinery.

Typer 0.29 imports pydantic to make text of text: 80 ms and 10 MB, before a command could begin.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


class _AsGiven:
    """Takes a value as it is, in the place of Typer's converter; makes a number or a path of it where one is asked for.

    The annotation must be text, bool, int, Path, or a list of text: nothing else is known here.
    """

    def coerce(self, value: Any, *, param: Any, ctx: Any) -> Any:
        """Raises: BadParameter for what is no number."""
        annotation = param.type_descriptor.annotation
        if value is None or annotation not in (int, Path):
            return value
        try:
            return annotation(value)
        except ValueError as error:
            raise typer.BadParameter(f"{value!r} is not a whole number", ctx=ctx, param=param) from error


def _read_plainly(command: Any, ctx: Any) -> None:
    for param in command.get_params(ctx):
        param._runtime_param = _AsGiven()  # noqa: SLF001 - where Typer keeps the converter


class PlainGroup(TyperGroup):
    """A group of commands whose own options are plain."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options as they are."""
        _read_plainly(self, ctx)
        left: list[str] = super().parse_args(ctx, args)
        return left


class PlainCommand(TyperCommand):
    """A command whose options are plain."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options as they are."""
        _read_plainly(self, ctx)
        left: list[str] = super().parse_args(ctx, args)
        return left
