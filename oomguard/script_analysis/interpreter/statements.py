"""Goes through a script's statements, once, and keeps the memory model. Nothing of the script is run."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.binding import is_end_of_file, is_len, leaves, mentions
from oomguard.script_analysis.interpreter.uncalled import Uncalled
from oomguard.script_analysis.interpreter.values import AbstractValue, text_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.script_analysis.interpreter.findings import Loop


# Functions that a script defines and does not call: entry points of somebody else's, or never run.

# Decorators that only change how a function is called; any other may register it somewhere.


def _caught(handler: ast.ExceptHandler) -> AbstractValue:
    """An error. What could not be decoded or parsed is in it."""
    said = "Exception" if handler.type is None else ast.unparse(handler.type)
    kind = "document" if _HAS_DOCUMENT.search(said) else "number"
    return AbstractValue(kind="exception", of_input=True, item=AbstractValue(kind=kind, of_input=True))


_HAS_DOCUMENT = re.compile(r"Decode|Unicode|ValueError|\b(Base)?Exception\b")


class Interpreter(Uncalled):
    """The statements: names, branches, loops."""

    def run(self, module: ast.Module) -> None:
        """Go through the module, and then through each function that it does not call itself."""
        self.memory.frames.append(self.module)
        self.statements(module.body)
        self.memory.note_peak(line=0)
        self.uncalled(module)

    def statements(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            self.steps += 1
            if self.steps > self.most_steps:
                self.memory.cannot_see(statement, "comes after so many steps that it was not analyzed")
                return
            self.line = statement.lineno
            before = len(self.memory.held)
            handler = getattr(self, f"visit_{type(statement).__name__}", None)  # of `raise` nothing stays
            if handler is not None:
                handler(statement)
            del self.memory.held[before:]

    # branches

    def visit_Expr(self, statement: ast.Expr) -> None:
        if isinstance(statement.value, ast.Yield):
            self.yields(statement.value)
            return
        made = self.evaluate(statement.value)
        # What is handed over in a loop over the input, and not waited for: pool.apply_async(f, (line,)).
        over = any(loop.fraction > 0 and not loop.bounded for loop in self.memory.loops)
        if made.kind == "future" and over and isinstance(statement.value, ast.Call):
            self.memory.cannot_see(statement, "tasks wait in a queue without a limit until a worker takes them")

    def visit_Return(self, statement: ast.Return) -> None:
        if statement.value is not None:
            self.returned[-1].append(self.evaluate(statement.value))

    def visit_If(self, statement: ast.If) -> None:
        self.evaluate(statement.test)
        if self.imported and "__name__" in text_source(statement.test):
            return  # what a module does as a script
        guarded = self._guarded(statement.test)
        before, once = [abstract.kind for abstract in guarded], self.once
        for abstract in guarded:
            abstract.kind = "bounded"
        # A single branch: an `else` could be for either.
        fetches = _asks_for_missing_file(statement.test) and not statement.orelse
        self.memory.missing_files += fetches
        self.once |= _missing(statement.test)
        with self.memory.emptied_at(self._limit(statement.test)):
            self._branches([statement.body, statement.orelse], few=self._is_first_ones(statement.test))
        self.memory.missing_files -= fetches
        self.once = once
        for abstract, kind in zip(guarded, before, strict=True):
            abstract.kind = kind

    def _guarded(self, test: ast.expr) -> list[AbstractValue]:
        """What `if len(x) < n:` keeps small."""
        tests = test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]
        compared = [one for one in tests if isinstance(one, ast.Compare) and isinstance(one.ops[0], (ast.Lt, ast.LtE))]
        return [self.evaluate(one.left.args[0]) for one in compared if is_len(one.left)]

    def _limit(self, test: ast.expr) -> float:
        """The number in `if size > 500 * 1024 * 1024:`; 0 where there is none that is known."""
        if not isinstance(test, ast.Compare) or not isinstance(test.ops[0], (ast.Gt, ast.GtE)):
            return 0.0
        if "size" not in (text := text_source(test).lower()) and "bytes" not in text:
            return 0.0
        limit = self.evaluate(test.comparators[0]).value
        return float(limit) if isinstance(limit, int) and limit > 0 else 0.0

    def _is_first_ones(self, test: ast.expr) -> bool:
        """Whether it is `i < 1000` of a loop's `for i, line in enumerate(file)`."""
        if not (isinstance(test, ast.Compare) and isinstance(test.ops[0], (ast.Lt, ast.LtE))):
            return False
        limit = self.evaluate(test.comparators[0])
        named = isinstance(test.left, ast.Name) and any(test.left.id in loop.numbers for loop in self.memory.loops)
        return named and not limit.of_length and not limit.of_input

    def _branches(self, bodies: Sequence[Sequence[ast.stmt]], *, few: bool = False) -> None:
        """Go through each from the same names; of what a name may be then, the one that holds most stays."""
        frame = self.memory.frames[-1]
        start, seen = dict(frame), []
        for body in bodies:
            frame.clear()
            frame.update(start)
            before, self.memory.few = self.memory.few, self.memory.few or (few and body is bodies[0])
            self.statements(body)
            self.memory.few = before
            seen.append(dict(frame))
        for after in seen:
            for name, abstract in after.items():
                other = frame.get(name)
                if other is None or (abstract is not other and self._says_more(abstract, other)):
                    frame[name] = abstract

    def _says_more(self, abstract: AbstractValue, other: AbstractValue) -> bool:
        unknown = ("unknown", "number", "none")
        return self.memory.cost(abstract) > self.memory.cost(other) or (
            other.kind in unknown and abstract.kind not in unknown
        )

    def visit_Try(self, statement: ast.Try) -> None:
        self.statements(statement.body)
        for handler in statement.handlers:
            if handler.name is not None:
                self.bind(ast.Name(id=handler.name), _caught(handler))
            self.statements(handler.body)
        self.statements(statement.orelse)
        self.statements(statement.finalbody)

    visit_TryStar = visit_Try

    def visit_Raise(self, statement: ast.Raise) -> None:
        """Of an error that is raised nothing stays, but what it is raised from."""
        if isinstance(statement.cause, ast.Name):
            self.causes.add(statement.cause.id)

    def visit_Match(self, statement: ast.Match) -> None:
        subject = self.evaluate(statement.subject)
        for case in statement.cases:
            self._capture(case.pattern, subject)
        self._branches([case.body for case in statement.cases])

    def _capture(self, pattern: ast.pattern, subject: AbstractValue) -> None:
        """Bind the names of a pattern: the whole, one of its items, or the rest of them."""
        for node in ast.walk(pattern):
            if isinstance(node, ast.MatchAs) and node.name:
                self.bind(ast.Name(id=node.name), subject if node is pattern else subject.one())
            elif isinstance(node, ast.MatchStar) and node.name:
                self.bind(ast.Name(id=node.name), subject)
            elif isinstance(node, ast.MatchMapping) and node.rest:
                self.bind(ast.Name(id=node.rest), subject)

    def visit_With(self, statement: ast.With | ast.AsyncWith) -> None:
        managers: list[AbstractValue] = []
        for item in statement.items:
            value = manager = self.evaluate(item.context_expr, hint=text_source(item.optional_vars))
            managers.append(manager)
            enters = self.special(value, "__enter__") or self.special(value, "__aenter__")
            if enters is not None:
                value = self.call_function(enters, [value], {})
            elif value.named == "generator" and value.item is not None:  # of a function with @contextmanager
                value = value.item
            if item.optional_vars is not None:
                self.bind(item.optional_vars, value)
        self.statements(statement.body)
        for manager in reversed(managers):
            leaves_it = self.special(manager, "__exit__") or self.special(manager, "__aexit__")
            if leaves_it is not None:
                self.call_function(leaves_it, [manager], {})

    visit_AsyncWith = visit_With

    def visit_Assert(self, statement: ast.Assert) -> None:
        self.evaluate(statement.test)

    # loops

    def visit_For(self, statement: ast.For | ast.AsyncFor) -> None:
        iterable = self.iterated(self.evaluate(statement.iter))
        if iterable.kind in ("file", "stream"):
            self.memory.advance(iterable, lines=iterable.one().kind == "line")
            if iterable.fraction > 0:
                self.memory.read_at(statement)
        bounded = self._stops_early(statement)
        if iterable.value == "iterparse" and not mentions(statement, "clear"):
            self.memory.make("object-load", statement, "tree", 1.0, each=iterable.each)
        with (
            self.memory.keeping([iterable]),
            self.memory.loop(iterable.fraction, bounded=bounded, each=iterable.each) as loop,
        ):
            self.bind(statement.target, self.item_in(loop, iterable))
            if isinstance(statement.target, ast.Name) and "range(" in text_source(statement.iter):
                loop.counters.add(statement.target.id)
            if isinstance(statement.target, ast.Tuple) and text_source(statement.iter).startswith("enumerate("):
                loop.numbers.add(text_source(statement.target.elts[0]))
            self.statements(statement.body)
        self.statements(statement.orelse)

    visit_AsyncFor = visit_For

    def item_in(self, loop: Loop, iterable: AbstractValue) -> AbstractValue:
        """Give one item, born in the loop unless it is one of several values that are known."""
        item = iterable.one()
        self.memory.passes(loop, iterable)
        if not item.born:
            item.born = tuple(one.number for one in self.memory.loops)
        if loop.fraction > 0:
            item.of_input = True
        return item

    def visit_While(self, statement: ast.While) -> None:
        bounded = (
            isinstance(statement.test, ast.Compare)
            and isinstance(statement.test.ops[0], (ast.Lt, ast.LtE))
            and is_len(statement.test.left)
        )
        with self.memory.loop(0.0, bounded=bounded or self._stops_early(statement)):
            self.evaluate(statement.test)
            self.statements(statement.body)
        self.statements(statement.orelse)

    def _stops_early(self, loop: ast.For | ast.AsyncFor | ast.While) -> bool:
        """Whether it breaks off after so many items: `if i >= 1000: break`, `if len(kept) == n: break`."""
        counters = {text_source(node.target) for node in ast.walk(loop) if isinstance(node, ast.AugAssign)}
        if isinstance(loop, (ast.For, ast.AsyncFor)) and isinstance(loop.target, ast.Tuple):
            counters.add(text_source(loop.target.elts[0]))
        ends = [node.test for node in loop.body if isinstance(node, ast.If) and leaves(node.body)]
        return not isinstance(loop, ast.While) and any(
            isinstance(test.ops[0], (ast.Gt, ast.GtE, ast.Eq))
            and not is_end_of_file(test.comparators[0])
            and (is_len(test.left) or text_source(test.left) in counters)
            for test in ends
            if isinstance(test, ast.Compare)
        )


def _missing(test: ast.expr) -> frozenset[str]:
    """What `if x is None`, `if not hasattr(o, "x")` is about."""
    if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Is) and text_source(test.comparators[0]) == "None":
        return frozenset({text_source(test.left)})
    if not isinstance(test, ast.UnaryOp) or not isinstance(test.op, ast.Not):
        return frozenset()
    asked = test.operand
    if isinstance(asked, ast.Call) and text_source(asked.func) == "hasattr" and len(asked.args) == 2:
        name = asked.args[1].value if isinstance(asked.args[1], ast.Constant) else None
        return frozenset({f"{text_source(asked.args[0])}.{name}"} if isinstance(name, str) else ())
    return frozenset()


def _asks_for_missing_file(test: ast.expr) -> bool:
    """`not os.path.exists(corpus)`, `not corpus.is_file()`: what is done then is not done where the input is there."""
    if not isinstance(test, ast.UnaryOp) or not isinstance(test.op, ast.Not) or not isinstance(test.operand, ast.Call):
        return False
    asked = test.operand.func
    return isinstance(asked, ast.Attribute) and asked.attr in ("exists", "isfile", "is_file")
