"""The house: what stands at its top, that no imports go round, and that no module has too many neighbours."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import oomguard

pytestmark = pytest.mark.xdist_group("house")  # which reads the whole package, once

ROOT = Path(oomguard.__file__).parent
MOST_NEIGHBOURS = 8
NO_NEIGHBOUR = "oomguard.records"  # it stands for a module of Python's
# Modules that are lists of others: names and where they live.
TABLES = {
    "oomguard",
    "oomguard.cli.app",
    "oomguard.diagnosis.killers",
    "oomguard.preparation.writing.formats.table",
}


@dataclass(frozen=True)
class Module:
    """What stands in one module."""

    is_silent: bool  # no docstring
    imports: frozenset[str]  # what it imports, in functions and for typing too: modules, or names in them
    texts: frozenset[str]  # its string constants


@cache
def modules() -> dict[str, Module]:
    """Each module of the package, read once."""
    return {_name(file): _read(file) for file in ROOT.rglob("*.py")}


def _read(file: Path) -> Module:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imports: set[str] = set()
    texts: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str):
                texts.add(node.value)
        elif isinstance(node, ast.Import):
            imports |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imports |= {f"{node.module}.{alias.name}" for alias in node.names}
    return Module(ast.get_docstring(tree) is None, frozenset(imports), frozenset(texts))


@cache
def imports_of_modules() -> dict[str, frozenset[str]]:
    """The modules of ours that each imports."""
    ours = modules()
    return {
        name: frozenset({one if one in ours else one.rpartition(".")[0] for one in module.imports} & set(ours) - {name})
        for name, module in ours.items()
    }


def _name(file: Path) -> str:
    parts = ("oomguard", *file.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _cycles() -> list[set[str]]:
    """Strongly connected modules, by Tarjan's algorithm."""
    graph, found = imports_of_modules(), []
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in graph[module]:
            if other not in index:
                visit(other)
            if other in stack:
                low[module] = min(low[module], low[other])
        if low[module] == index[module]:
            at = stack.index(module)
            if len(stack) - at > 1:
                found.append(set(stack[at:]))
            del stack[at:]

    for module in graph:
        if module not in index:
            visit(module)
    return found


def _packages(cycle: set[str]) -> set[str]:
    return {".".join(module.split(".")[:2]) for module in cycle}


def test_the_top_level_is_the_packages_and_seven_modules() -> None:
    assert {path.stem for path in ROOT.glob("*.py")} == {
        "__init__",
        "__main__",
        "errors",
        "records",
        "stages",
        "text",
        "units",
    }
    assert {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()} == {
        "cli", "diagnosis", "estimation", "formats", "kernel", "machine_report", "preparation", "profiling",
        "script_analysis", "stacks", "supervision", "swap",
    }  # fmt: skip


def test_no_imports_go_round() -> None:
    assert {package for cycle in _cycles() for package in _packages(cycle)} == set()


def test_no_module_has_too_many_neighbours() -> None:
    wide = {
        module for module, imports in imports_of_modules().items() if len(imports - {NO_NEIGHBOUR}) > MOST_NEIGHBOURS
    }
    assert wide - TABLES == set()


def test_each_module_says_what_it_is() -> None:
    assert [name for name, module in modules().items() if module.is_silent] == []


def test_a_module_that_is_named_in_a_string_is_there() -> None:
    """Nothing else would notice when it moves: what is imported late, or started as a process of its own, is a string."""
    texts = {text.partition(":")[0] for module in modules().values() for text in module.texts}
    packages = "|".join(path.name for path in ROOT.iterdir() if (path / "__init__.py").exists())
    named = {text for text in texts if re.fullmatch(rf"oomguard\.({packages})(\.\w+)+", text)}
    assert len(named) > 20
    assert named - set(modules()) == set()


_COMMAND = re.compile(
    r"(?:^|[ ;|&(])(?:ls|rm|cat|zcat|mv|cp|df|du|curl|python3?|zstd|gzip|xz|bzip2|unzip|7z|tar|chmod|chown|cd|aws|stat|export|tail"
    r"|journalctl|jupyter|readlink|oomguard diagnose|oomguard prepare|oomguard inspect|oomguard check) "
)
_QUOTED = re.compile(r"shell_word|quote|word\b|as_root|shown_path|removal|pid|_renamed|command|^'|^smaller|_FORM")
# Set in the program, and no name that somebody gave: a kind of file, an address of OpenAI's, a path that is a constant.
_OWN_NAMES = {"sources.py: name", "encodings.py: address", "plan.py: FSTAB_BACKUP"}


def test_a_line_to_paste_has_names_quoted_as_the_shell_reads_them() -> None:
    """A path with a blank, a quote or an escape in it stays one word of the command that an error gives."""
    plain = set()
    for path in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(path.read_text())
        lines = [each.value for each in ast.walk(tree) if isinstance(each, ast.keyword) and each.arg == "do"]
        for text in (each for line in lines for each in ast.walk(line) if isinstance(each, ast.JoinedStr)):
            if not _COMMAND.search("".join(str(part.value) for part in text.values if isinstance(part, ast.Constant))):
                continue
            values = (ast.unparse(part.value) for part in text.values if isinstance(part, ast.FormattedValue))
            plain |= {f"{path.name}: {value}" for value in values if not _QUOTED.search(value)}
    assert plain - _OWN_NAMES == set()
