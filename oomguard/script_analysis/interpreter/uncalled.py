"""What nothing in the script calls: functions that nobody needs, and those that others are to call."""

from __future__ import annotations

import ast
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.binding import Imports
from oomguard.script_analysis.interpreter.values import AbstractValue

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLAIN = {"property", "staticmethod", "classmethod", "contextmanager", "lru_cache", "cache", "wraps", "setter",
          "abstractmethod", "dataclass", "override", "njit", "jit", "no_grad"}  # fmt: skip
_OTHER_FILES = 10_000_000  # from here on lines are those of imported modules
_MOST_HANDED = 200
_MOST_STEPS = 10_000  # statements that are gone through for these
_SERVES = frozenset({"serve_forever", "run_forever", "handle_request", "cmdloop"})  # they call what they were given
# Methods of parsers that are given the name of a tag first, of which there are few.
_OF_TAGS = frozenset({"handle_starttag", "handle_endtag", "handle_startendtag", "startElement", "endElement"})
# Methods that Python calls by itself.
_BY_PYTHON = frozenset({
    "__getitem__", "__call__", "__next__", "__missing__", "__contains__", "__del__", "__setattr__", "__getattr__",
    "__getattribute__", "__set__", "__get__", "__delitem__", "__exit__", "__aexit__", "__enter__", "__aenter__",
    "__lshift__", "__rshift__", "__add__", "__radd__", "__or__", "__ror__", "__and__", "__ilshift__", "__ior__",
    "__eq__", "__lt__", "__hash__", "__bool__", "__len__", "__str__", "__repr__", "__format__", "__new__",
    "__setitem__", "__iadd__", "__reduce__", "__getstate__", "__setstate__", "__post_init__", "__init_subclass__",
    "__anext__", "__await__", "__fspath__", "__index__", "__int__", "__float__", "__reversed__", "__iter__",
})  # fmt: skip


class Uncalled(Imports):
    """Goes through what nothing called."""

    def uncalled(self, module: ast.Module) -> None:
        """Go through each function that was not called; what a script that runs never mentions does not count."""
        names = [_names_in(tree) for tree in (module, *self.trees)]
        mentioned = set().union(*(one.mentioned for one in names))
        handed = self._handed_over(set().union(*(one.given for one in names)), mentioned)
        serves = bool(handed) and any(one.called & _SERVES for one in names)
        memory = self.memory
        runs = self.runs = bool(self.called or memory.readers or memory.findings or memory.outsiders or serves)
        for function in [abstract for abstract in self.functions if id(abstract.value) not in self.called]:
            if id(function.value) in self.called or function.value.lineno >= _OTHER_FILES:
                continue
            self.memory.reached = not runs or self._is_reached(function.value, mentioned)
            self.call_function(function, [], {}, unknown=AbstractValue(kind="parameter"))
            self.memory.note_peak()
        self.memory.reached = True
        if runs:
            self._called_back(handed)

    def _handed_over(self, named: set[str], mentioned: set[str]) -> list[tuple[AbstractValue, AbstractValue | None]]:
        """Functions that others may call, each with the object that it is a method of.

        They were not called here, and are mentioned as what they are, or are methods of a class whose parent is from
        elsewhere (handle_data() of an HTMLParser), or such as Python calls by itself (`__contains__`, `__del__`).
        """
        handed: list[tuple[AbstractValue, AbstractValue | None]] = [
            (function, None)
            for function in [*self.functions, *self.lambdas]
            if id(function.value) not in self.called
            and id(function.value) not in self.classes
            and (
                isinstance(function.value, ast.Lambda) or function.value.name in named or _is_registered(function.value)
            )
        ]
        for body in self.bodies:
            made = self.made.get(id(body))
            if made is None and (id(body) not in self.of_others or body.value.name not in mentioned):
                continue
            made = made or self._as_framework_makes_it(body)
            handed += [
                (one, made)
                for name, one in body.parts.items()
                if one.kind == "function"
                and id(one.value) not in self.called
                and (name in named or (name in _BY_PYTHON if id(body) not in self.of_others else _is_called(name)))
            ]
        return [(one, owner) for one, owner in handed if one.value.lineno < _OTHER_FILES][:_MOST_HANDED]

    def _as_framework_makes_it(self, body: AbstractValue) -> AbstractValue:
        """An object of a class that is only given to others: `create_server(Handler)`."""
        made = AbstractValue(kind=body.named or "object", parts={"class": body})
        begins = self.special(made, "__init__")
        if begins is not None:
            self.call_function(begins, [made], {})
        made.named = "handed"
        return made

    def _called_back(self, handed: list[tuple[AbstractValue, AbstractValue | None]]) -> None:
        """Say what they would keep, were they called for each piece of the input: how often they are is not known."""
        if not handed:
            return
        memory = self.memory
        before = dict(memory.findings), set(memory.readers), dict(memory.assumptions)
        peaks = copy(memory.peak), copy(memory.peak_each)
        piece = AbstractValue(kind="document", of_input=True, named="handed")
        pieces = memory.new("stream", fraction=1.0, item=piece, of_input=True)
        with memory.loop(1.0) as loop:
            self.item_in(loop, pieces)
            self.most_steps = min(self.most_steps, self.steps + _MOST_STEPS)
            for function, owner in handed:
                wanted = function.value.args
                given = [piece] * (len(wanted.posonlyargs) + len(wanted.args) - (owner is not None))
                if given and getattr(function.value, "name", "") in _OF_TAGS:
                    given[0] = AbstractValue(kind="word", of_input=True)
                self.call_function(function, given if owner is None else [owner, *given], {})
        found = [one for where, one in memory.findings.items() if where not in before[0]]
        memory.findings, memory.readers, memory.assumptions = before
        memory.peak, memory.peak_each = peaks
        for finding in found:
            if finding.rule.startswith(("growing", "cache", "token-list", "list-of-input", "memory-file")):
                memory.cannot_see_line(finding.line, "keeps what it is given; how often it is called is not known")

    def _is_reached(self, node: ast.FunctionDef | ast.AsyncFunctionDef, mentioned: set[str]) -> bool:
        owner = self.classes.get(id(node))
        if owner is not None and owner not in mentioned:
            return False
        if _is_registered(node):
            return True
        return node.name in mentioned or (owner is not None and node.name.startswith("__"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    """The names that stand in a module."""

    mentioned: set[str]  # as names, attributes or texts
    given: set[str]  # to somebody: not called, and not decorated with
    called: set[str]


def _names_in(module: ast.Module) -> _Names:
    names = _Names(mentioned=set(), given=set(), called=set())
    called: set[int] = set()  # a call comes before its parts
    for node in _walk(module):
        if isinstance(node, ast.Call):
            called.add(id(node.func))
            names.called.add(_last_name(node.func))
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str) and node.value.isidentifier():
                names.mentioned.add(node.value)
        elif isinstance(node, (ast.Name, ast.Attribute)):
            name = node.id if isinstance(node, ast.Name) else node.attr
            loads = isinstance(node.ctx, ast.Load)
            if loads or isinstance(node, ast.Attribute):
                names.mentioned.add(name)
            if loads and id(node) not in called:
                names.given.add(name)
    return names


def _walk(tree: ast.AST) -> Iterator[ast.AST]:
    """As ast.walk, in a third of the time, but not in its order: each node before its parts."""
    to_see = [tree]
    while to_see:
        node = to_see.pop()
        yield node
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, ast.AST):
                to_see.append(value)
            elif isinstance(value, list):
                to_see += [part for part in value if isinstance(part, ast.AST)]


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_registered(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a decorator may give it to somebody."""
    return any(_last_name(decorator) not in _PLAIN for decorator in node.decorator_list)


def _is_called(name: str) -> bool:
    """Whether a parent from elsewhere may call a method of this name."""
    return not name.startswith("__") or name in _BY_PYTHON
