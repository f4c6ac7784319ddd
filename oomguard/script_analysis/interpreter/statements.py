"""Goes through a script's statements, once, and keeps the memory model. Nothing of the script is run."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, TypeGuard

from oomguard.script_analysis.interpreter.uncalled import Uncalled
from oomguard.script_analysis.interpreter.values import LISTS, TEXTS, AbstractValue, Frame, text_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.script_analysis.interpreter.memory_model import Loop

_MOST_STATEMENTS = 200_000  # functions that call each other can be gone through very often
_FILE_LINES = 10_000_000  # the lines of the n-th file begin at n times this
_MANY = 12  # fields of a line


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
            if self.steps > _MOST_STATEMENTS:
                self.memory.cannot_see(statement, "is behind so many steps that it was not looked at")
                return
            self.line = statement.lineno
            before = len(self.memory.held)
            handler = getattr(self, f"visit_{type(statement).__name__}", None)
            if handler is not None:
                handler(statement)
            del self.memory.held[before:]

    # names

    def visit_Assign(self, statement: ast.Assign) -> None:
        target = statement.targets[0]
        if len(statement.targets) == 1 and self._grows_itself(target, statement.value):
            return
        value = self.evaluate(statement.value, hint=text_source(target))
        for target in statement.targets:
            self.bind(target, value)

    def visit_AnnAssign(self, statement: ast.AnnAssign) -> None:
        if statement.value is not None:
            self.bind(statement.target, self.evaluate(statement.value, hint=text_source(statement.target)))

    def visit_AugAssign(self, statement: ast.AugAssign) -> None:
        added = self.evaluate(statement.value)
        target = self.evaluate(statement.target)
        if isinstance(statement.target, ast.Subscript):
            self._grow_key(statement.target)
        if not isinstance(statement.op, ast.Add) or added.kind in ("number", "unknown") or added.is_constant:
            return
        if target.kind == "element":
            target = target.parts["of"]
        elif target.kind in ("number", "unknown", "parameter"):
            target = self.memory.new("text" if added.kind in TEXTS else "list")
            target.born = self._born(statement.target)
            self.bind(statement.target, target)
        self.memory.grow(target, added, statement, spread=True)

    def bind(self, target: ast.expr, value: AbstractValue) -> None:
        """Give a value to a name, an attribute, an element or several of them; what was there is let go."""
        if isinstance(target, ast.Name):
            frame = self.frame_of(target.id)
            old = frame.get(target.id)
            if old is not None and old is not value:
                self.memory.flush(old)
            frame[target.id] = value = self._downloaded(value, target)
            frame.births[target.id] = self.memory.running()
        elif isinstance(target, ast.Attribute):
            owner = self.evaluate(target.value)
            old = owner.parts.get(target.attr)
            if old is not None and old is not value:
                self.memory.flush(old)
            owner.parts[target.attr] = value
        elif isinstance(target, ast.Subscript):
            owner = self.evaluate(target.value)
            if isinstance(target.slice, ast.Slice) and _is_len(target.slice.lower) and target.slice.upper is None:
                self.memory.grow(owner, value, target, spread=True)  # x[len(x):] = more
            elif isinstance(target.slice, ast.Slice):
                if owner.kind in ("list", *LISTS):
                    self.memory.flush(owner)
            elif owner.kind in ("dict", "list", "element", *LISTS):
                holder = owner.parts["of"] if owner.kind == "element" else owner
                if not self._is_small_entry(holder, target, value):
                    self.memory.grow(holder, value, target, spread=False)
                self._grow_key(target)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._bind_several(target.elts, value)

    def _downloaded(self, value: AbstractValue, target: ast.expr) -> AbstractValue:
        """The body of an answer from the network, kept under a name."""
        if value.kind != "download":
            return value
        return self.memory.make("whole-read", target, "text" if value.value == "text" else "bytes", 1.0)

    def _born(self, target: ast.expr) -> tuple[int, ...]:
        """In which loops a name was given what it stands for."""
        if not isinstance(target, ast.Name):
            return ()
        frame = self.frame_of(target.id)
        return frame.births.get(target.id, frame.entered)

    def _is_small_entry(self, holder: AbstractValue, target: ast.Subscript, value: AbstractValue) -> bool:
        """`numbers[word] = n`: what the table takes is decided by its keys."""
        key = self.evaluate(target.slice)
        return holder.kind in ("dict", "counter") and key.of_input and not value.of_input and value.fraction <= 0

    def _grow_key(self, target: ast.Subscript) -> None:
        """`counts[line] += 1`: the table keeps its keys, too."""
        owner, key = self.evaluate(target.value), self.evaluate(target.slice)
        if owner.kind in ("dict", "counter") and key.of_input and not isinstance(target.slice, ast.Slice):
            self.memory.grow(owner, key, target, spread=False)

    def _bind_several(self, targets: list[ast.expr], value: AbstractValue) -> None:
        elements = value.parts if value.kind == "tuple" else {}
        starred = any(isinstance(target, ast.Starred) for target in targets)
        for number, target in enumerate(targets):
            element = elements.get(str(number)) if not starred else None
            if element is None:
                if isinstance(target, ast.Starred):
                    element = value
                elif value.kind in ("words", "documents", "fields") and value.fraction <= 0 and len(targets) < _MANY:
                    element = self.memory.new("value", of_input=value.of_input)  # a field of a line
                else:
                    element = value.one() if not elements else AbstractValue()
            self.bind(target, element)

    def _grows_itself(self, target: ast.expr, value: ast.expr) -> bool:
        """`x = x + y`, `x = np.concatenate([x, y])`, `x = pd.concat((x, y))`: the same as growing x."""
        name = text_source(target)
        if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add) and text_source(value.left) == name:
            others = [value.right]
        elif isinstance(value, ast.Call) and _last_name(value.func) in _JOINERS and value.args:
            first = value.args[0]
            among = first.elts if isinstance(first, (ast.List, ast.Tuple)) else value.args
            if name not in map(text_source, among):
                return False
            others = [one for one in among if text_source(one) != name]
        else:
            return False
        abstract = self.evaluate(target)
        if abstract.kind in ("number", "parameter"):
            return False
        for other in others:
            added = self.evaluate(other)
            if abstract.kind == "unknown" or (
                abstract.fraction == 0 and abstract.kind in ("list", "buffer2") and isinstance(value, ast.Call)
            ):
                abstract = self.memory.new(added.kind if added.kind.startswith(("array", "frame")) else abstract.kind)
                abstract.born = ()
                self.bind(target, abstract)
            if added.kind not in ("number", "unknown"):
                self.memory.grow(abstract, added, value, spread=True)
        return True

    def visit_Delete(self, statement: ast.Delete) -> None:
        for target in statement.targets:
            if isinstance(target, ast.Name):
                old = self.frame_of(target.id).pop(target.id, None)
            elif isinstance(target, ast.Attribute):
                old = self.evaluate(target.value).parts.pop(target.attr, None)
            else:
                old = self.evaluate(target.value) if isinstance(target, ast.Subscript) else None
            if old is not None:
                self.memory.flush(old)

    def visit_Global(self, statement: ast.Global | ast.Nonlocal) -> None:
        self.globals[-1].update(statement.names)

    visit_Nonlocal = visit_Global

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
                member = self.own_module(dotted, statement.level) or member
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

    # branches

    def visit_Expr(self, statement: ast.Expr) -> None:
        self.evaluate(statement.value)

    def visit_Return(self, statement: ast.Return) -> None:
        if statement.value is not None:
            self.returned[-1].append(self.evaluate(statement.value))

    def visit_If(self, statement: ast.If) -> None:
        self.evaluate(statement.test)
        if self.imported and "__name__" in text_source(statement.test):
            return  # what a module does as a script
        guarded = self._guarded(statement.test)
        before = [abstract.kind for abstract in guarded]
        for abstract in guarded:
            abstract.kind = "bounded"
        self._branches([statement.body, statement.orelse])
        for abstract, kind in zip(guarded, before, strict=True):
            abstract.kind = kind

    def _guarded(self, test: ast.expr) -> list[AbstractValue]:
        """What `if len(x) < n:` keeps small."""
        tests = test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]
        compared = [one for one in tests if isinstance(one, ast.Compare) and isinstance(one.ops[0], (ast.Lt, ast.LtE))]
        return [self.evaluate(one.left.args[0]) for one in compared if _is_len(one.left)]

    def _branches(self, bodies: Sequence[Sequence[ast.stmt]]) -> None:
        """Go through each from the same names; of what a name may be then, the one that holds most stays."""
        frame = self.memory.frames[-1]
        start, seen = dict(frame), []
        for body in bodies:
            frame.clear()
            frame.update(start)
            self.statements(body)
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
            self.statements(handler.body)
        self.statements(statement.orelse)
        self.statements(statement.finalbody)

    visit_TryStar = visit_Try

    def visit_Match(self, statement: ast.Match) -> None:
        self.evaluate(statement.subject)
        self._branches([case.body for case in statement.cases])

    def visit_With(self, statement: ast.With | ast.AsyncWith) -> None:
        for item in statement.items:
            value = self.evaluate(item.context_expr, hint=text_source(item.optional_vars))
            if item.optional_vars is not None:
                self.bind(item.optional_vars, value)
        self.statements(statement.body)

    visit_AsyncWith = visit_With

    def visit_Assert(self, statement: ast.Assert) -> None:
        self.evaluate(statement.test)

    def visit_Raise(self, statement: ast.Raise) -> None:
        if statement.exc is not None:
            self.evaluate(statement.exc)

    # loops

    def visit_For(self, statement: ast.For | ast.AsyncFor) -> None:
        iterable = self.iterated(self.evaluate(statement.iter))
        if iterable.kind in ("file", "stream"):
            self.memory.advance(iterable, lines=iterable.one().kind == "line")
            if iterable.fraction > 0:
                self.memory.read_at(statement)
        bounded = self._stops_early(statement)
        if iterable.value == "iterparse" and not _mentions(statement, "clear"):
            self.memory.make("object-load", statement, "tree", 1.0, each=iterable.each)
        with (
            self.memory.keeping([iterable]),
            self.memory.loop(iterable.fraction, bounded=bounded, each=iterable.each) as loop,
        ):
            self.bind(statement.target, self.item_in(loop, iterable))
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
            and _is_len(statement.test.left)
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
        leaves = [node.test for node in loop.body if isinstance(node, ast.If) and _leaves(node.body)]
        return not isinstance(loop, ast.While) and any(
            isinstance(test.ops[0], (ast.Gt, ast.GtE, ast.Eq))
            and not _is_end_of_file(test.comparators[0])
            and (_is_len(test.left) or text_source(test.left) in counters)
            for test in leaves
            if isinstance(test, ast.Compare)
        )


_JOINERS = {"concatenate", "append", "hstack", "vstack", "concat", "cat", "union", "concat_tables"}


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _mentions(loop: ast.AST, name: str) -> bool:
    return any(isinstance(node, ast.Attribute) and node.attr == name for node in ast.walk(loop))


def _is_len(node: ast.expr | None) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and _last_name(node.func) == "len" and len(node.args) == 1


def _is_end_of_file(limit: ast.expr) -> bool:
    """`if len(piece) == 0: break`, `if line == "": break`: that is no limit."""
    return isinstance(limit, ast.Constant) and (not isinstance(limit.value, int) or limit.value <= 0)


def _leaves(body: Sequence[ast.stmt]) -> bool:
    return any(isinstance(node, (ast.Break, ast.Return)) for node in body)
