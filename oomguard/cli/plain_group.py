"""A group of commands whose own options are text and switches only, read without Typer's heavy machinery.

Typer 0.29 imports pydantic to make text of text: 80 ms and 10 MB, before a command could begin.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class _AsGiven:
    """Takes an option as it is, in the place of Typer's converter."""

    def coerce(self, value: Any, **_: Any) -> Any:
        return value


class PlainGroup(TyperGroup):
    """Its options must be annotated as text or bool: nothing else is made of them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options as they are."""
        for param in self.get_params(ctx):
            param._runtime_param = _AsGiven()  # type: ignore[attr-defined]  # noqa: SLF001
        left: list[str] = super().parse_args(ctx, args)
        return left
