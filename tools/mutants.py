"""Would the fast tests notice a fault in what limits, freezes and kills? `mutants.py [SEED] [COUNT]` tries some.

Each mutant is one small change of one module: another comparison, `and` for `or`, a number one higher or lower, a
statement left out, two branches swapped. It is noticed if a test fails, or none ends. The number of seconds that
something is waited for stays as it is: a second more is no fault. Works on a copy; the working tree is not touched.
"""

from __future__ import annotations

import ast
import copy
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[1]
# What is changed, and how the paths of its own tests begin: they run first, then all that use it.
MODULES = {
    "oomguard/supervision/rules/limits.py": "tests/supervision/rules",
    "oomguard/supervision/supervisor.py": "tests/supervision/test_supervisor",
    "oomguard/supervision/watched_job.py": "tests/supervision/test_supervisor",
    "oomguard/supervision/holding.py": "tests/supervision/test_supervisor",
    "oomguard/supervision/releasing.py": "tests/supervision/test_supervisor",
    "oomguard/supervision/pace.py": "tests/supervision/test_pace",
    "oomguard/supervision/reaper.py": "tests/supervision/test_reaper",
    "oomguard/kernel/cgroup/freezer.py": "tests/kernel/cgroup/test_freezer",
    "oomguard/supervision/backends/polling.py": "tests/supervision/backends/test_polling",
    "oomguard/supervision/backends/polled_memory.py": "tests/supervision/backends/test_polling",
    "oomguard/supervision/backends/tree_members.py": "tests/supervision/backends/test_polling",
}
BESIDE = ("tests/supervision", "tests/kernel/cgroup", "tests/kernel/test_prctl.py", "tests/kernel/test_terminal.py")
PATIENCE_SECONDS = 120
_COMPARISONS: dict[type[ast.cmpop], list[type[ast.cmpop]]] = {
    ast.Lt: [ast.LtE, ast.GtE], ast.LtE: [ast.Lt, ast.Gt], ast.Gt: [ast.GtE, ast.LtE], ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq], ast.NotEq: [ast.Eq], ast.In: [ast.NotIn], ast.NotIn: [ast.In],
    ast.Is: [ast.IsNot], ast.IsNot: [ast.Is],
}  # fmt: skip
_LEFT_OUT = (ast.Expr, ast.Assign, ast.AugAssign, ast.Return, ast.Raise, ast.Break, ast.Continue)


@dataclass(frozen=True)
class Change:
    """One change of a module; `apply` gives the new text for its tree."""

    line: int
    what: str
    apply: Callable[[ast.Module], None]


def changes_of(tree: ast.Module) -> Iterator[Change]:
    """Every change that there is. Nodes are named by their number in ast.walk(), the same in a copy of the tree."""
    skipped = set(_left_alone(tree))
    for number, node in enumerate(ast.walk(tree)):
        if node in skipped:
            continue
        for what, change in _changes_of_node(node):
            yield Change(getattr(node, "lineno", 0), what, _at(number, change))


def _left_alone(tree: ast.Module) -> Iterator[ast.AST]:  # noqa: C901 - one case after another
    """Documentation, types, decorators and the seconds that something is waited for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield from ast.walk(node)
        if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
            yield from ast.walk(node.annotation)
        if isinstance(node, ast.FunctionDef) and node.returns is not None:
            yield from ast.walk(node.returns)
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            for decorator in node.decorator_list:
                yield from ast.walk(decorator)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from ast.walk(node)
        if isinstance(node, ast.Assign) and "_SECONDS" in ast.unparse(node.targets[0]):
            yield from ast.walk(node)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "self._wait"):
            for argument in node.args[:1]:
                yield from ast.walk(argument)


def _at(number: int, change: Callable[[ast.AST], None]) -> Callable[[ast.Module], None]:
    return lambda tree: change(list(ast.walk(tree))[number])


def _changes_of_node(node: ast.AST) -> Iterator[tuple[str, Callable[[ast.AST], None]]]:  # noqa: C901 - the same
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for other in _COMPARISONS[type(node.ops[0])]:
            yield f"{type(node.ops[0]).__name__} -> {other.__name__}", _set(ops=[other()])
    elif isinstance(node, ast.BoolOp):
        yield "and <-> or", _set(op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not -> nothing", _set(op=ast.UAdd(), operand=ast.Call(ast.Name("bool"), [node.operand], []))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield f"{node.value} -> {not node.value}", _set(value=not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        for step in (-1, 1):
            yield f"{node.value} -> {node.value + step}", _set(value=node.value + step)
    elif isinstance(node, ast.If | ast.IfExp):
        yield "branches swapped", _set(test=ast.UnaryOp(ast.Not(), node.test))
    for field in ("body", "orelse", "finalbody"):
        for place, statement in enumerate(getattr(node, field, []) if isinstance(node, ast.stmt) else []):
            if isinstance(statement, _LEFT_OUT) and not isinstance(getattr(statement, "value", None), ast.Constant):
                yield f"left out: {ast.unparse(statement)[:60]}", _leave_out(field, place)


def _set(**fields: object) -> Callable[[ast.AST], None]:
    return lambda node: vars(node).update(copy.deepcopy(fields))


def _leave_out(field: str, place: int) -> Callable[[ast.AST], None]:
    return lambda node: getattr(node, field).__setitem__(place, ast.Pass())


def mutants(seed: int, count: int) -> list[tuple[str, Change]]:
    """As many of each module, by chance."""
    chance = random.Random(seed)
    chosen: list[tuple[str, Change]] = []
    for name in MODULES:
        found = list(changes_of(ast.parse((ROOT / name).read_text())))
        chosen += [(name, change) for change in chance.sample(found, min(len(found), count // len(MODULES)))]
    return chosen


def is_noticed(copied: Path, name: str, change: Change) -> bool:
    """Whether a test fails with that change in the copy, which is as before afterwards."""
    original = (ROOT / name).read_text()
    tree = ast.parse(original)
    change.apply(tree)
    (copied / name).write_text(ast.unparse(ast.fix_missing_locations(tree)))
    try:
        return not passes(copied, *own_tests(name)) or not passes(copied, *BESIDE)
    finally:
        (copied / name).write_text(original)


def own_tests(name: str) -> list[str]:
    """The files and folders whose paths begin as those of a module's tests do."""
    start = ROOT / MODULES[name]
    return sorted(str(path.relative_to(ROOT)) for path in start.parent.glob(f"{start.name}*"))


def passes(copied: Path, *tests: str) -> bool:
    """Whether these tests pass in time. In a session of their own: what a mutant leaves running is ended with it."""
    fast = ("-m", "not slow and not live and not vm")
    command = [
        sys.executable,
        "-B",
        "-m",
        "pytest",
        "-qx",
        "-p",
        "no:cacheprovider",
        *fast,
        f"--basetemp={copied}/tmp",
        *tests,
    ]
    with subprocess.Popen(
        command, cwd=copied, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as run:
        try:
            return run.wait(PATIENCE_SECONDS) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            _end_session(run.pid)


def _end_session(session: int) -> None:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                os.kill(int(stat.parent.name), signal.SIGKILL)
        except OSError:
            continue


def main() -> int:
    """Make them, try them, and name those that nobody noticed."""
    seed, count = (int(text) for text in [*sys.argv[1:], *("1", "100")[len(sys.argv) - 1 :]])
    chosen = mutants(seed, count)
    missed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="oomguard-mutants-") as folder, ThreadPoolExecutor(2) as pool:
        copies = [Path(folder, str(number)) for number in range(2)]
        for copied in copies:
            for part in ("oomguard", "tests", "tools"):
                shutil.copytree(ROOT / part, copied / part, ignore=shutil.ignore_patterns("__pycache__", "cache"))
            for part in ("hatch_build.py", "pyproject.toml"):
                shutil.copy(ROOT / part, copied / part)
        if not passes(copies[0], *BESIDE):
            sys.exit("error: the tests fail without a mutant\n  try: make check")
        free = list(copies)

        def try_one(one: tuple[str, Change]) -> None:
            copied = free.pop()
            name, change = one
            noticed = is_noticed(copied, name, change)
            free.append(copied)
            line = f"{'noticed' if noticed else 'MISSED '} {name}:{change.line}: {change.what}"
            print(line, flush=True)
            if not noticed:
                missed.append(line)

        list(pool.map(try_one, chosen))
    print(f"{len(chosen) - len(missed)} of {len(chosen)} noticed (seed {seed})")
    return int(len(missed) > len(chosen) // 10)


if __name__ == "__main__":
    sys.exit(main())
