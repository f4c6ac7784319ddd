"""The script, and the modules beside it that it imports: read, bounded, and each with line numbers of its own."""

from __future__ import annotations

import ast
import json
import os
import re
import stat
import sys
import sysconfig
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.text import printable, shell_word
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from pathlib import Path


# A notebook's code cells as one script. Source: the nbformat 4 schema; IPython's magics.

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
            f"{shown} is not a notebook: it has no list of cells",
            do=f"jupyter nbconvert --to script {shell_word(str(path))}",
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


_LONGEST_SCRIPT = 8 * MIB
_LONGEST_NOTEBOOK = 64 * MIB  # its pictures are in it
_MOST_MODULES = 60
_STANDARD_LIBRARY = sysconfig.get_path("stdlib")
FILE_LINES = 10_000_000  # the lines of the n-th file begin at n times this, so that one number says file and line


# A syntax tree takes up to 850 bytes for each of these, so that it stays below 300 MB.
_MARKS = (b"\n", b",", b"(", b".", b"=", b"[", b":", b"+")
_MOST_MARKS = 250_000
_BLANK = rb"(?>\s|#[^\n]*+\n)*+"
_LITERAL = rb"(?>[-+]?[0-9][0-9A-Za-z_.]*+|b?'[^'\\\n]*+'|b?\"[^\"\\\n]*+\"|True|False|None)"
_PAIR = _LITERAL + rb"(?>" + _BLANK + rb":" + _BLANK + _LITERAL + rb")?+"
_ROW = (
    rb"[(\[]"
    + _BLANK
    + _PAIR
    + rb"(?>"
    + _BLANK
    + rb","
    + _BLANK
    + _PAIR
    + rb")*+"
    + _BLANK
    + rb",?+"
    + _BLANK
    + rb"[)\]]"
)
_ITEM = rb"(?>" + _ROW + rb"|" + _PAIR + rb")" + _BLANK + rb"," + _BLANK
_TABLE = re.compile(rb"(" + _ITEM + rb")((?>" + _ITEM + rb"){200,}+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A line of one of the files."""

    file: str  # relative to the script's folder; "" is the script itself
    line: int
    code: str
    function: str  # "" at the top level
    cell: int | None = None  # of a notebook, from 1


@dataclass(slots=True, kw_only=True)
class _File:
    name: str
    folder: Path
    lines: list[str]
    tree: ast.Module
    notebook: NotebookCode | None = None
    functions: list[tuple[int, int, str]] = field(default_factory=list)


class SourceFiles:
    """Files by number; the script is the first."""

    def __init__(self, script: Path, *, root: Path | None = None) -> None:
        """Read and parse the script. `root`: where its imports begin; None: its folder.

        Raises: BadInput if it cannot be read or is no Python 3.
        """
        self._root = root or script.parent
        self._files: list[_File] = []
        self._known: dict[Path, ast.Module | None] = {}
        self._marks = 0
        self.unreadable: list[str] = []
        self._add(script, "")
        self._known[script] = self.tree

    @property
    def tree(self) -> ast.Module:
        """The script's own."""
        return self._files[0].tree

    @property
    def trees(self) -> list[ast.Module]:
        """The script's and its modules'."""
        return [file.tree for file in self._files]

    @property
    def names(self) -> list[str]:
        """The modules', relative to where imports begin."""
        return [file.name for file in self._files[1:]]

    @property
    def functions(self) -> list[int]:
        """The lines where the script defines functions and classes."""
        return sorted(start for start, _, _ in self._files[0].functions)

    def find_module(self, name: str, line: int) -> ast.Module | None:
        """Give the module that is imported by this name (with its leading dots) at `line`; None: not one of these."""
        plain = name.lstrip(".")
        level = len(name) - len(plain)
        folder = self._root
        if level:
            folder = self._files[line // FILE_LINES].folder
            for _ in range(level - 1):
                folder = folder.parent
        if plain.partition(".")[0] in sys.stdlib_module_names and str(folder).startswith(_STANDARD_LIBRARY):
            return None  # a file of the standard library itself: its neighbours are no script's
        base = folder.joinpath(*plain.split(".")) if plain else folder
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if plain and len(self._files) < _MOST_MODULES and _is_file(path):
                return self._module(path)
        return None

    def _module(self, path: Path) -> ast.Module | None:
        if path not in self._known:
            self._known[path] = None  # an import in a circle gives what is there so far: nothing
            try:
                self._known[path] = self._add(path, _relative(path, self._root))
            except BadInput:
                self.unreadable.append(_relative(path, self._root))
        return self._known[path]

    def _add(self, path: Path, name: str) -> ast.Module:
        content = read_script(path)
        notebook = read_notebook(content, path) if path.suffix == ".ipynb" else None
        source = content if notebook is None else notebook.source.encode()
        short = shorten_tables(source)
        self._marks += sum(map(short.count, _MARKS))
        if self._marks > _MOST_MARKS:
            raise BadInput(
                f"{printable(str(path))} is too long to be read: about {self._marks:,} expressions, with its modules",
                do="is it a generated file? oomguard check reads what people write",
            )
        tree = _parse(short, path, notebook)
        file = _File(
            name=name, folder=path.parent, lines=source.decode(errors="replace").splitlines(), tree=tree,
            notebook=notebook,
        )  # fmt: skip
        _name_functions(tree, "", file.functions)
        ast.increment_lineno(tree, len(self._files) * FILE_LINES)
        self._files.append(file)
        return tree

    def locate(self, line: int) -> Place:
        """Say which file, line and function a number stands for."""
        file, number = self._files[line // FILE_LINES], line % FILE_LINES
        inside = [one for one in file.functions if one[0] <= number <= one[1]]
        code = file.lines[number - 1].strip() if 0 < number <= len(file.lines) else ""
        cell, shown = (None, number) if file.notebook is None else file.notebook.locate(number)
        function = max(inside, default=(0, 0, ""))[2]
        return Place(file=file.name, line=shown, code=code, function=function, cell=cell)


def shorten_tables(source: bytes) -> bytes:
    """Leave out all but the first of hundreds of literals in a row: they hold what they hold, whatever the input.

    Lines keep their numbers.
    """
    return _TABLE.sub(lambda table: table[1] + b"\n" * table[2].count(b"\n"), source)


def read_script(path: Path) -> bytes:
    """Read a script that is a file of a sane size.

    Raises: BadInput otherwise; a device or a pipe is never read, as it may have no end.
    """
    shown = printable(str(path))
    most = _LONGEST_NOTEBOOK if path.suffix == ".ipynb" else _LONGEST_SCRIPT
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise BadInput(
                    f"{shown} is not a regular file", do="oomguard check prepare.py   with a script's own name"
                )
            if status.st_size > most:
                raise BadInput(
                    f"{shown} has {format_size(status.st_size)}; a script of more than {format_size(most)} is not read",
                    do="oomguard check SCRIPT --input DATA   if this is the data",
                )
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(most + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise BadInput(f"{shown} cannot be read: {error.strerror}", do=f"ls -l {shell_word(str(path))}") from error


def find_package_entry(name: str, folder: Path) -> Path:
    """Find what `python -m NAME` runs, in `folder`: a module, or a package's __main__.

    Raises: BadInput if there is neither.
    """
    parts = name.split(".")
    if all(part.isidentifier() for part in parts):
        for start in (folder, folder / "src"):
            base = start.joinpath(*parts)
            for path in (base / "__main__.py", base.with_suffix(".py")):
                if _is_file(path):
                    return path
    raise BadInput(
        f'there is no module "{printable(name)}" in this directory: neither NAME.py nor NAME/__main__.py',
        do="cd to the directory that holds the package, then oomguard check -m NAME",
    )


def nested_too_deeply(path: Path) -> BadInput:
    """Say so of a script that the parser or the analysis gave up on."""
    return BadInput(f"{printable(str(path))} is nested too deeply to be read", do="is it a generated file?")


def _parse(source: bytes, path: Path, notebook: NotebookCode | None) -> ast.Module:
    shown = printable(str(path))
    flags = ast.PyCF_ONLY_AST | (ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if notebook is not None else 0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the script's own string escapes
            tree: ast.Module = compile(source, "script", "exec", flags=flags, dont_inherit=True)
            return tree
    except (SyntaxError, ValueError) as error:
        where = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        what = error.msg if isinstance(error, SyntaxError) else str(error)
        raise BadInput(
            f"{shown}{where} is not Python 3: {what}", do=f"python -m py_compile {shell_word(str(path))}"
        ) from error
    except (RecursionError, MemoryError) as error:
        raise nested_too_deeply(path) from error


def _name_functions(node: ast.AST, inside: str, found: list[tuple[int, int, str]]) -> None:
    to_see = [(node, inside)]
    while to_see:
        parent, name = to_see.pop()
        for child in ast.iter_child_nodes(parent):
            own = name
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                own = f"{name}.{child.name}" if name else child.name
                found.append((child.lineno, child.end_lineno or child.lineno, own))
            if isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case)):
                to_see.append((child, own))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _relative(path: Path, root: Path) -> str:
    try:
        return str(path.relative_to(root))
    except ValueError:
        return str(path)
