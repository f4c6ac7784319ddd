"""Imports: libraries by their name, and modules of the script's own, which are gone through."""

from __future__ import annotations

import ast

from oomguard.script_analysis.interpreter.binding import Binding
from oomguard.script_analysis.interpreter.values import AbstractValue, Frame

_FILE_LINES = 10_000_000  # the lines of the n-th file begin at n times this


class Imports(Binding):
    """Import statements."""

    def visit_Import(self, statement: ast.Import) -> None:
        for alias in statement.names:
            name = alias.name if alias.asname else alias.name.partition(".")[0]
            own = self.own_module(name)
            self.bind(ast.Name(id=alias.asname or name), own or AbstractValue(kind="module", value=name))

    def visit_ImportFrom(self, statement: ast.ImportFrom) -> None:
        own = self.own_module(statement.module or "", statement.level)
        for alias in statement.names:
            dotted = f"{statement.module or ''}.{alias.name}"
            member = AbstractValue(kind="module", value=dotted)
            if own is not None and own.home is not None and alias.name == "*":
                self.memory.frames[-1].update(own.home)
                continue
            if own is not None and own.home is not None and alias.name in own.home:
                member = own.home[alias.name]
            else:
                member = self.own_module(dotted.lstrip("."), statement.level) or member
            self.bind(ast.Name(id=alias.asname or alias.name), member)

    def own_module(self, name: str, level: int = 0) -> AbstractValue | None:
        """Go through a module of the script's own folder, once; None: it is not one."""
        key = "." * level + name
        if level:
            key = f"{key} in {self.line // _FILE_LINES}"
        if key in self.own_modules:
            return self.own_modules[key]
        parsed = self.find_module("." * level + name, self.line)
        if parsed is None:
            return None
        frame = Frame(entered=())
        module = self.own_modules[key] = AbstractValue(kind="own_module", value=name, home=frame)
        self.memory.frames.append(frame)
        self.homes.append([frame])
        self.globals.append(set())
        line = self.line
        self.imported += 1
        self.trees.append(parsed)
        try:
            self.statements(parsed.body)
        finally:
            self.imported -= 1
            self.memory.frames.pop()
            self.homes.pop()
            self.globals.pop()
            self.line = line
        return module
