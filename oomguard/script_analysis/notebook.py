"""A notebook's code cells as one script. Source: the nbformat 4 schema; IPython's magics."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.text import printable

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC = re.compile(r"^(\s*)(?:[%!?]|\w[\w.]*\?\??\s*$)")
_ASSIGNED = re.compile(r"^(\s*[\w, ]+=\s*)[!%].*$")
_OTHER_LANGUAGE = re.compile(
    r"^\s*%%(bash|sh|script|html|javascript|js|latex|markdown|perl|ruby|svg|writefile|sql|cython)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotebookCode:
    """The code, and where each of its lines stands."""

    source: str
    starts: tuple[tuple[int, int], ...]  # the first line in `source` of each code cell, and the cell's number

    def locate(self, line: int) -> tuple[int, int]:
        """Give the cell, counted from 1 over all cells, and the line in it."""
        start, cell = max(((start, cell) for start, cell in self.starts if start <= line), default=(line, 1))
        return cell, line - start + 1


def read_notebook(content: bytes, path: Path) -> NotebookCode:
    """Put the code cells together; magics and shell lines become blank.

    Raises: BadInput if it is no notebook of Python.
    """
    shown = printable(str(path))
    try:
        notebook = json.loads(content)
        cells = notebook["cells"] if "cells" in notebook else notebook["worksheets"][0]["cells"]
        code = [(number, _text(cell)) for number, cell in enumerate(cells, 1) if cell.get("cell_type") == "code"]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(
            f"{shown} is not a notebook: it has no list of cells", do=f"jupyter nbconvert --to script {shown}"
        ) from error
    lines: list[str] = []
    starts: list[tuple[int, int]] = []
    for number, text in code:
        starts.append((len(lines) + 1, number))
        lines += _python_lines(text)
    return NotebookCode(source="\n".join(lines) + "\n", starts=tuple(starts))


def _text(cell: dict[str, Any]) -> str:
    source = cell.get("source", cell.get("input", ""))
    return source if isinstance(source, str) else "".join(source)


def _python_lines(text: str) -> list[str]:
    lines = text.splitlines() or [""]
    if _OTHER_LANGUAGE.match(lines[0]):
        return [""] * len(lines)
    shown = []
    for line in lines:
        if assigned := _ASSIGNED.match(line):
            shown.append(f"{assigned[1]}None")
        elif magic := _MAGIC.match(line):
            shown.append(f"{magic[1]}pass" if magic[1] else "")
        else:
            shown.append(line)
    return shown
