"""What a script takes whatever its input: the interpreter, what it imports, and how many processes it starts."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterable

_INTERPRETER = 8 * MIB  # CPython with the modules of its library that a script usually imports
# Anonymous memory after `import NAME` in a bare interpreter, less the interpreter's own, in MiB. CPython 3.11, Linux
# 6.18; numpy 2.4, pandas 3.1, pyarrow 26.0, datasets 5.2, tiktoken 0.14; transformers without torch.
_IMPORTS = {
    "numpy": 10, "pandas": 48, "pyarrow": 16, "datasets": 78, "polars": 24, "tokenizers": 3, "transformers": 36,
    "sklearn": 98, "scipy": 25, "sentencepiece": 5, "dask": 15, "ray": 34, "joblib": 18, "spacy": 53, "duckdb": 12,
    "nltk": 125, "regex": 3, "tqdm": 8, "requests": 13, "tiktoken": 4,
}  # fmt: skip
_BRINGS = {
    "pandas": ("numpy",), "datasets": ("pandas", "numpy", "pyarrow", "requests", "tqdm"),
    "sklearn": ("numpy", "scipy", "joblib"), "scipy": ("numpy",), "transformers": ("tokenizers", "tqdm", "regex"),
    "nltk": ("regex", "tqdm", "joblib"), "spacy": ("numpy", "tqdm"), "tiktoken": ("regex",),
}  # fmt: skip
_NO_MEMORY = frozenset({"__future__", "typing_extensions", "oomguard", "six"})
_COUNTS = ("num_proc", "max_workers", "n_jobs", "num_workers", "processes", "nproc", "n_process", "num_cpus")
_POOLS = ("Pool", "ProcessPoolExecutor", "Process", "Parallel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Processes that the script starts."""

    line: int
    count: int | None  # None: only running shows it
    text: str  # as it stands in the script


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedMemory:
    """What is needed whatever the input. Units: bytes."""

    counted: int  # of one process
    imports: tuple[str, ...]  # that are in it
    uncounted_imports: tuple[str, ...]
    workers: tuple[Workers, ...]

    @property
    def processes(self) -> int | None:
        """How many there are at most at once; None: only running shows it."""
        counts = [one.count for one in self.workers]
        return None if None in counts else 1 + max((count or 0 for count in counts), default=0)


def count_fixed(trees: Iterable[ast.Module], own: Iterable[str], *, cpus: int) -> FixedMemory:
    """Add up the imports, and find the processes. `own`: the names of the script's own modules."""
    trees = list(trees)
    found = {root for tree in trees for root in _roots(tree)} - sys.stdlib_module_names - _NO_MEMORY - set(own)
    brought = {name for root in found for name in _BRINGS.get(root, ())}
    counted = sorted(name for name in found if name in _IMPORTS and name not in brought)
    return FixedMemory(
        counted=_INTERPRETER + sum(_IMPORTS[name] * MIB for name in counted),
        imports=tuple(counted),
        uncounted_imports=tuple(sorted(name for name in found if name not in _IMPORTS)),
        workers=tuple(worker for tree in trees for worker in _find_workers(tree, cpus)),
    )


def _roots(tree: ast.Module) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _find_workers(tree: ast.Module, cpus: int) -> Iterable[Workers]:
    constants = _constants(tree, cpus)
    in_loops = {
        id(node) for loop in ast.walk(tree) if isinstance(loop, (ast.For, ast.While, ast.ListComp))
        for node in ast.walk(loop)
    }  # fmt: skip
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = _last_name(node.func)
        given = next((word.value for word in node.keywords if word.arg in _COUNTS), None)
        if name == "Process":
            count = None if id(node) in in_loops else 1
        elif given is not None and "Thread" not in name and not _is_flag(name):
            count = _number(given, constants, cpus)
            if count is not None and count <= 1:
                continue
        elif name in _POOLS:
            count = _number(node.args[0], constants, cpus) if node.args and name != "Parallel" else cpus
        else:
            continue
        yield Workers(line=node.lineno, count=count, text=ast.unparse(node.func)[:60])


def _is_flag(name: str) -> bool:
    return name in ("add_argument", "Option", "option", "Argument", "field", "dict", "print", "partial", "ThreadPool")


def _constants(tree: ast.Module, cpus: int) -> dict[str, int]:
    known: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            number = _number(node.value, known, cpus)
            if number is not None:
                known[node.targets[0].id] = number
    return known


def _number(node: ast.expr, constants: dict[str, int], cpus: int) -> int | None:
    """Give a count as far as reading shows it: a constant, the CPUs, a simple sum of these."""
    if isinstance(node, ast.Constant):
        if node.value is None:
            return cpus
        return (node.value if node.value > 0 else cpus) if type(node.value) is int else None
    if isinstance(node, ast.Name):
        return constants.get(node.id)
    if isinstance(node, ast.Call):
        name = _last_name(node.func)
        if name in ("cpu_count", "process_cpu_count"):
            return cpus
        numbers = [_number(argument, constants, cpus) for argument in node.args]
        known = [number for number in numbers if number is not None]
        if name in ("max", "min", "int") and len(known) == len(numbers) and known:
            return min(known) if name == "min" else max(known)
        return None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return cpus  # n_jobs=-1
    if isinstance(node, ast.BinOp):
        left, right = _number(node.left, constants, cpus), _number(node.right, constants, cpus)
        if left is None or right is None:
            return None
        if isinstance(node.op, (ast.FloorDiv, ast.Div)):
            return left // right if right else None
        return {ast.Add: left + right, ast.Sub: left - right, ast.Mult: left * right}.get(type(node.op))
    if isinstance(node, ast.BoolOp):
        return next((number for value in node.values if (number := _number(value, constants, cpus))), None)
    return None


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
