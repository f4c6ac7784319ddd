"""Show a result: a screen for people, or JSON for programs, on standard output."""

from __future__ import annotations

import io
import json
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import typer

from oomguard.errors import BadInput
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.console import RenderableType


class Result(Protocol):
    """What every feature gives back."""

    def to_json(self) -> dict[str, object]:
        """Give the same facts for programs."""
        ...


R = TypeVar("R", bound=Result)


def show(
    result: R,
    *,
    as_json: bool,
    render: Callable[[R], RenderableType] | None = None,
    kept: str = "the same command shows it again",
) -> None:
    """Print a result: `render` builds the screen for people; without one, the result does it itself.

    Raises: BadInput when standard output does not take it; `kept` says what is not lost by that.
    """
    try:
        typer.echo(json.dumps(result.to_json()) if as_json else screen(_rendered(result, render)))
        sys.stdout.flush()
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise BadInput(f"could not write the result to standard output: {error.strerror}", do=kept) from error


def _rendered(result: R, render: Callable[[R], RenderableType] | None) -> RenderableType:
    drawn: Any = result
    return render(result) if render else drawn.render()


def write_page(page: str, path: Path) -> None:
    """Write an HTML page. Raises: BadInput if the file cannot be written."""
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        with suppress(OSError):
            if path.is_file() and not path.stat().st_size:
                path.unlink()  # a full disk leaves an empty file behind
        raise BadInput(
            f"could not write {printable(str(path))}: {error.strerror}", do="give --html a file in a folder of yours"
        ) from error


class _LikeStandardOutput(io.StringIO):
    """What Rich asks standard output for, without being it: Rich writes there, nothing, at the end of a capture too."""

    @property
    def encoding(self) -> str:  # type: ignore[override]  # StringIO's is an attribute
        return getattr(sys.stdout, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        return sys.stdout.isatty()


def screen(shown: RenderableType) -> str:
    """Lay out what Rich draws as text, without the spaces that it pads with and a file or a paste does not need."""
    from rich.console import Console

    console = Console(soft_wrap=True, file=_LikeStandardOutput())
    with console.capture() as capture:
        console.print(shown)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
