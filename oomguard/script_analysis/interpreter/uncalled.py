"""Functions that a script defines and does not call: entry points of somebody else's, or never run."""

from __future__ import annotations

import ast

from oomguard.script_analysis.interpreter.functions import Functions
from oomguard.script_analysis.interpreter.values import AbstractValue

# Decorators that only change how a function is called; any other may register it somewhere.
_PLAIN = {"property", "staticmethod", "classmethod", "contextmanager", "lru_cache", "cache", "wraps", "setter",
          "abstractmethod", "dataclass", "override", "njit", "jit", "no_grad"}  # fmt: skip


_OTHER_FILES = 10_000_000  # from here on lines are those of imported modules


class Uncalled(Functions):
    """Goes through what nothing called."""

    def uncalled(self, module: ast.Module) -> None:
        """Go through each function that was not called; what a script that runs never mentions does not count."""
        runs = self.runs = bool(self.called or self.memory.readers or self.memory.findings or self.memory.outsiders)
        mentioned = set().union(*map(_mentioned, [module, *self.trees]))
        for function in [abstract for abstract in self.functions if id(abstract.value) not in self.called]:
            if id(function.value) in self.called or function.value.lineno >= _OTHER_FILES:
                continue
            self.memory.reached = not runs or self._is_reached(function.value, mentioned)
            self.call_function(function, [], {}, unknown=AbstractValue(kind="parameter"))
            self.memory.note_peak()
        self.memory.reached = True

    def _is_reached(self, node: ast.FunctionDef | ast.AsyncFunctionDef, mentioned: set[str]) -> bool:
        owner = self.classes.get(id(node))
        if owner is not None and owner not in mentioned:
            return False
        if any(_last_name(decorator) not in _PLAIN for decorator in node.decorator_list):
            return True
        return node.name in mentioned or (owner is not None and node.name.startswith("__"))


def _mentioned(module: ast.Module) -> set[str]:
    """Give the names that stand anywhere in the module, as names, attributes or texts."""
    names: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            names.add(node.value)
    return names


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
