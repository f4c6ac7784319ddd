"""Show a result, on standard output or in a file: a screen or a page for people, or JSON for programs."""

from __future__ import annotations

import io
import json
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import typer

from oomguard.cli.console import coloured, wants_colour
from oomguard.errors import BadInput, NotOurs
from oomguard.kernel import safe_files
from oomguard.text import Rows, printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from rich.console import RenderableType

_NARROWEST, _USUAL_WIDTH = 40, 80  # columns
_GENERATOR = '<meta name="generator" content="oomguard">'  # tells a page of ours from another file
_ANOTHER = "--html page.html, or another new file in a folder of yours"
_BLOCKS = str.maketrans("▁▂▃▄▅▆▇█", "..::++##")  # of a chart, where the locale has no better


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
    """Write an HTML page, whole or not at all, over an older one of oomguard's and nothing else.

    Raises: BadInput if the file cannot be written, or is something else.
    """
    shown = printable(str(path))
    made = page.replace("<head>", f"<head>{_GENERATOR}", 1)
    data = made.encode(errors="backslashreplace")
    try:
        fd, kind = safe_files.open_named(path)
        try:
            if kind == "new":
                _write_new(fd, data, path)
            if kind == "stream":
                _write_all(fd, data)
            if kind != "there":
                return
            beginning = os.pread(fd, 4096, 0)
        finally:
            os.close(fd)
        if beginning and _GENERATOR.encode() not in beginning:
            raise BadInput(f"{shown} exists and is not a page of oomguard's: it is left as it is", do=_ANOTHER)
        with safe_files.replacing(path, follow=True) as file:  # a symbolic link keeps pointing to it
            file.write(data)
    except OSError as error:
        raise BadInput(f"could not write {shown}: {error.strerror}", do=_ANOTHER) from error


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _write_new(fd: int, data: bytes, path: Path) -> None:
    try:
        _write_all(fd, data)
        os.fsync(fd)
    except BaseException:
        safe_files.unlink(path)  # half a page would be taken for one
        raise


def screen(shown: RenderableType, *, to: TextIO | None = None) -> str:
    """Lay out what Rich draws as text for a stream, standard output or another, with colour where it shows any.

    Without the spaces that Rich pads with: a file or a paste does not need them. Nothing is written anywhere.
    """
    stream = to or sys.stdout
    lines = shown.lines(max(_NARROWEST, _columns())) if isinstance(shown, Rows) else _drawn(shown)
    text = "\n".join(line.rstrip() for line in lines)
    if not _shows_blocks(stream):
        text = text.translate(_BLOCKS)
    return coloured(text) if wants_colour(stream) else text


def _drawn(shown: RenderableType) -> list[str]:
    from rich.console import Console

    drawn = io.StringIO()
    console = Console(file=drawn, color_system=None, soft_wrap=True)
    console.width = max(_NARROWEST, console.width)
    console.print(shown)
    return drawn.getvalue().splitlines()


def _columns() -> int:
    """The width of the terminal, found where Rich finds it."""
    given = os.environ.get("COLUMNS", "")
    if given.isdigit():
        return int(given)
    for fd in range(3):
        with suppress(OSError):
            return os.get_terminal_size(fd).columns or _USUAL_WIDTH
    return _USUAL_WIDTH


def _shows_blocks(stream: TextIO) -> bool:
    try:
        "█".encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


class ReportFile:
    """Opened before the command starts. What goes wrong after that changes neither the command nor its status."""

    def __init__(self, path: str) -> None:
        """Open it, or make it. Raises: BadInput if that cannot be, or if it holds anything but a report of ours."""
        from oomguard.supervision.model import SCHEMA

        head = f'{{"schema": "{SCHEMA.partition("/")[0]}/'.encode()
        self._path = Path(path)
        try:
            self._fd, kind = safe_files.open_named(self._path)
        except OSError as error:
            raise BadInput(
                f'cannot write the report to "{printable(path)}": {error.strerror}',
                do="--report FILE in another folder",
            ) from error
        self._is_new = kind == "new"
        status = os.fstat(self._fd)
        self._is_file = stat.S_ISREG(status.st_mode)
        if kind == "there" and status.st_size and os.pread(self._fd, len(head), 0) != head:
            os.close(self._fd)
            raise BadInput(
                f'"{printable(path)}" is not a report of oomguard\'s, and is not overwritten', do="--report NEW-FILE"
            )

    def write(self, text: str) -> str | None:
        """Write it whole or not at all; gives why not."""
        data = text.encode()
        try:
            if self._is_file:
                os.ftruncate(self._fd, 0)
                os.lseek(self._fd, 0, os.SEEK_SET)
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            self._remove()  # half a report would be taken for one
            return error.strerror or str(error)
        finally:
            os.close(self._fd)
        return None

    def discard(self) -> None:
        """There is nothing to report. Raises: nothing."""
        os.close(self._fd)
        if self._is_new:
            self._remove()

    def _remove(self) -> None:
        try:
            if self._is_file and not self._path.is_symlink():
                safe_files.unlink(self._path)
        except (OSError, NotOurs):
            return
