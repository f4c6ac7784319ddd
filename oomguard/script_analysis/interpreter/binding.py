"""Names: what an assignment, a deletion, `+=` or an import gives to which, and what grows by it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, TypeGuard

from oomguard.script_analysis.interpreter.expressions import OPERATORS
from oomguard.script_analysis.interpreter.functions import Functions
from oomguard.script_analysis.interpreter.values import FRAMES, LISTS, TEXTS, AbstractValue, Frame, text_source

if TYPE_CHECKING:
    from collections.abc import Sequence


# Small questions about a syntax tree.


def last_name(node: ast.expr) -> str:
    """Give the last part of a dotted name."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def mentions(loop: ast.AST, name: str) -> bool:
    """Say whether an attribute of this name stands in it."""
    return any(isinstance(node, ast.Attribute) and node.attr == name for node in ast.walk(loop))


def is_len(node: ast.expr | None) -> TypeGuard[ast.Call]:
    """Say whether it is `len(something)`."""
    return isinstance(node, ast.Call) and last_name(node.func) == "len" and len(node.args) == 1


def is_end_of_file(limit: ast.expr) -> bool:
    """`if len(piece) == 0: break`, `if line == "": break`: that is no limit."""
    return isinstance(limit, ast.Constant) and (not isinstance(limit.value, int) or limit.value <= 0)


def leaves(body: Sequence[ast.stmt]) -> bool:
    """Say whether it ends the loop or the function."""
    return any(isinstance(node, (ast.Break, ast.Return)) for node in body)


# Names: what an assignment, a deletion or `+=` gives to which, and what grows by it.

# Methods that keep what they are given.
_TAKES_IN = frozenset({"append", "add", "extend", "put", "appendleft", "update", "write"})
_ADDED = frozenset({"append", "union", "concat", "concatenate", "extend", "vstack"})  # methods that give both together
_MANY = 12  # fields of a line
_JOINERS = {"concatenate", "append", "hstack", "vstack", "concat", "cat", "union", "concat_tables"}


class Binding(Functions):
    """Assignments."""

    def visit_Assign(self, statement: ast.Assign) -> None:
        target = statement.targets[0]
        if len(statement.targets) == 1 and self._grows_itself(target, statement.value):
            return
        if len(statement.targets) == 1 and self._spreads_itself(target, statement.value):
            return
        value = self.evaluate(statement.value, hint=text_source(target))
        self._branches_off(target, statement.value, value)
        if (
            value.kind == "exception"
            and isinstance(target, ast.Name)
            and target.id in self.causes
            and self.memory.loops
        ):
            self.memory.cannot_see(statement, "each error keeps the one that it is raised from")
        for target in statement.targets:
            self.bind(target, value)

    def visit_AnnAssign(self, statement: ast.AnnAssign) -> None:
        if statement.value is not None:
            self.bind(statement.target, self.evaluate(statement.value, hint=text_source(statement.target)))

    def visit_AugAssign(self, statement: ast.AugAssign) -> None:
        added = self.evaluate(statement.value)
        target = self.evaluate(statement.target)
        name = OPERATORS.get(type(statement.op), "")
        own = self.special(target, f"__i{name}__") or self.special(target, f"__{name}__")
        if own is not None:
            self.call_function(own, [target, added], {})
            return
        if isinstance(statement.target, ast.Subscript):
            self._grow_key(statement.target)
        union = isinstance(statement.op, ast.BitOr) and target.kind in ("set", "dict", "counter", *LISTS)
        if not (isinstance(statement.op, ast.Add) or union) or added.kind in ("number", "unknown") or added.is_constant:
            return
        is_element = target.kind == "element"
        if is_element:
            target = target.parts["of"]
        elif target.kind in ("number", "unknown", "parameter"):
            target = self.memory.new("text" if added.kind in TEXTS else "list")
            target.born = self._born(statement.target)
            self.bind(statement.target, target)
        self.memory.grow(target, added, statement, spread=not (is_element and _is_textual(added)))

    def bind(self, target: ast.expr, value: AbstractValue) -> None:
        """Give a value to a name, an attribute, an element or several of them; what was there is let go."""
        if isinstance(target, ast.Name):
            frame = self.frame_of(target.id)
            old = frame.get(target.id)
            if old is not None and target.id in self.once and old.kind not in ("none", "unknown"):
                return
            if old is not None and old is not value:
                self._chain(old, value, target)
                if not self._is_named_elsewhere(old, frame, target.id):
                    self.memory.flush(old)
            frame[target.id] = value = self.downloaded(value, target)
            frame.births[target.id] = self.memory.running()
        elif isinstance(target, ast.Attribute):
            self._bind_attribute(target, value)
        elif isinstance(target, ast.Subscript):
            self._bind_element(target, value)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._bind_several(target.elts, value)

    def _bind_attribute(self, target: ast.Attribute, value: AbstractValue) -> None:
        owner = self.evaluate(target.value)
        if self._sets_by_method(owner, target.attr, value):
            return
        old = owner.parts.get(target.attr)
        if old is not None and text_source(target) in self.once and old.kind not in ("none", "unknown"):
            return
        if old is not None and old is not value:
            self.memory.flush(old)
        if value.kind == "bound" and value.value in _TAKES_IN and owner.kind == "unknown":
            self.memory.cannot_see(target, "may be called for each piece of the input, and keeps it")
        if text_source(target) in self.once:
            value.born = owner.born
        owner.parts[target.attr] = value

    def _bind_element(self, target: ast.Subscript, value: AbstractValue) -> None:
        owner = self.evaluate(target.value)
        own = self.special(owner, "__setitem__")
        if own is not None and not isinstance(target.slice, ast.Slice):
            self.call_function(own, [owner, self.evaluate(target.slice), value], {})
        elif owner.kind == "module" and self.memory.loops and (value.of_input or self.evaluate(target.slice).of_input):
            self.memory.cannot_see(target, "what it is put into may keep it")  # os.environ[name] = line
        elif isinstance(target.slice, ast.Slice) and is_len(target.slice.lower) and target.slice.upper is None:
            self.memory.grow(owner, value, target, spread=True)  # x[len(x):] = more
        elif isinstance(target.slice, ast.Slice):
            if owner.kind in ("list", *LISTS):
                self.memory.flush(owner)
        elif owner.kind in FRAMES and value.kind in LISTS - {"token_lists"} and value.fraction > 0:
            column = self.memory.make("dataframe", target, "frame_csv", value.fraction, each=value.each)
            owner.parts[text_source(target.slice)] = column  # a copy of the list
        elif isinstance(target.value, ast.Attribute) and target.value.attr in ("loc", "at", "iloc"):
            table = self.evaluate(target.value.value)
            if table.kind in FRAMES and value.of_input:
                self.memory.grow(table, value, target, spread=False)  # df.loc[n] = [line]
        elif owner.kind == "dict" and self._replaces_part(owner, target, value):
            pass
        elif owner.kind in ("dict", "list", "element", *LISTS):
            holder = owner.parts["of"] if owner.kind == "element" else owner
            if isinstance(target.value, ast.Name) and value.kind in ("dict", "object"):
                self.branching.add(target.value.id)
            replaced = holder.named == "empty" and owner.kind != "element"  # kept[n] = line: in the place of another
            if not replaced and not self._is_small_entry(holder, target, value):
                self.memory.grow(holder, value, target, spread=False)
            self._grow_key(target)

    def _sets_by_method(self, owner: AbstractValue, name: str, value: AbstractValue) -> bool:
        """A property's setter, or the `__set__` of what stands in the class."""
        members = owner.parts["class"].parts if "class" in owner.parts else {}
        if (setter := members.get(f"{name} setter")) is not None:
            self.call_function(setter, [owner, value], {})
            return True
        describes = self.special(members[name], "__set__") if name in members else None
        if describes is not None:
            self.call_function(describes, [members[name], owner, value], {})
        return describes is not None

    def _is_named_elsewhere(self, old: AbstractValue, frame: Frame, name: str) -> bool:
        """Whether another name keeps what this one is taken from: `node = root`, then `node = node[word]`."""
        if not self.memory.loops or not old.born < self.memory.running():
            return False
        return any(
            other is old and not (names is frame and key == name)
            for names in self.memory.frames
            for key, other in names.items()
        )

    def _replaces_part(self, owner: AbstractValue, target: ast.Subscript, value: AbstractValue) -> bool:
        """`batch["ids"] = []` where batch is {"ids": [], "labels": []}; `for key in batch: batch[key] = []`."""
        key = self.evaluate(target.slice).value
        if key in owner.parts:
            self.memory.flush(owner.parts[key])
            owner.parts[key] = value
            return True
        if isinstance(key, str) and self.memory.is_of_piece(owner) and (value.of_input or value.fraction > 0):
            owner.parts[key] = value  # row["text"] = line, as in {"text": line}
            return True
        if isinstance(key, str) or not owner.parts or value.kind not in ("list", "set", "counter"):
            return False
        self.memory.flush(owner)
        return True

    def _chain(self, old: AbstractValue, value: AbstractValue, target: ast.expr) -> None:
        """`head = (line, head)`: each holds the one before it, so that all stay."""
        if value.kind in ("tuple", "list", "dict", "object") and any(part is old for part in value.parts.values()):
            chain = self.memory.new("list")
            chain.born = self._born(target)
            value.parts["chain"] = chain
            self.memory.grow(chain, value, target, spread=False)

    def _branches_off(self, target: ast.expr, value: ast.expr, made: AbstractValue) -> None:
        """`node = node.setdefault(word, {})`: a tree of all that ever followed one another."""
        if not isinstance(target, ast.Name):
            return
        opens = (
            isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "setdefault"
        )
        within = value.func.value if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) else (
            value.value if isinstance(value, ast.Subscript) and target.id in self.branching else None
        )  # fmt: skip
        if isinstance(within, ast.Attribute):  # node = node.children.setdefault(word, Node())
            within = within.value
        if within is None or text_source(within) != target.id or not (opens or isinstance(value, ast.Subscript)):
            return
        word = AbstractValue(kind="word", of_input=True)
        node = AbstractValue(kind="tuple", of_input=True, parts={"0": word})
        root = made.parts.get("of", made)
        self.memory.grow(root, node, value, spread=False)

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
        owner = owner.parts["of"] if owner.kind == "element" else owner
        if owner.kind in ("dict", "counter") and key.of_input and not isinstance(target.slice, ast.Slice):
            self.memory.grow(owner, key, target, spread=False)

    def _bind_several(self, targets: list[ast.expr], value: AbstractValue) -> None:
        elements = value.parts if value.kind == "tuple" else {}
        starred = any(isinstance(target, ast.Starred) for target in targets)
        for number, target in enumerate(targets):
            element = elements.get(str(number)) if not starred else None
            if element is None:
                source = self.iterated(value) if isinstance(target, ast.Starred) else value
                if isinstance(target, ast.Starred) and source.kind == "stream" and source.fraction > 0:
                    element = self.memory.keep_all(target, source)
                elif isinstance(target, ast.Starred):
                    element = value
                elif value.kind in ("words", "documents", "fields") and value.fraction <= 0 and len(targets) < _MANY:
                    element = self.memory.new("value", of_input=value.of_input)  # a field of a line
                else:
                    element = value.one() if not elements else AbstractValue()
            self.bind(target, element)

    def _grows_itself(self, target: ast.expr, value: ast.expr) -> bool:
        """`x = x + y`, `x = np.concatenate([x, y])`, `x = pd.concat((x, y))`: the same as growing x."""
        name = text_source(target)
        joined = isinstance(value, ast.BinOp) and isinstance(value.op, (ast.Add, ast.BitOr))
        if isinstance(value, ast.BinOp) and joined and (
            text_source(value.left) == name or _reads_element(target, value.left)
        ):  # fmt: skip
            others = [value.right]
        elif (texts := _text_of(value)) and name in map(text_source, texts):
            others = [one for one in texts if text_source(one) != name]
        elif (
            isinstance(value, ast.Call)
            and isinstance(value.func, ast.Attribute)
            and value.func.attr in _ADDED
            and (text_source(value.func.value) == name)
        ):  # frame = frame.append(more)
            others = value.args
        elif isinstance(value, ast.Call) and last_name(value.func) in _JOINERS and value.args:
            first = value.args[0]
            among = first.elts if isinstance(first, (ast.List, ast.Tuple)) else value.args
            if name not in map(text_source, among):
                return False
            others = [one for one in among if text_source(one) != name]
        else:
            return False
        abstract = self.evaluate(target)
        is_element = abstract.kind == "element"
        abstract = abstract.parts["of"] if is_element else abstract
        if abstract.kind in ("number", "parameter"):
            return False
        if abstract.weight < 1 and abstract.fraction == 0 and abstract.kind in ("document", "value"):
            return False  # a text of a list that is held already: what comes of it is another one
        for other in others:
            added = self.evaluate(other)
            if abstract.kind == "unknown" or (
                abstract.fraction == 0 and abstract.kind in ("list", "buffer2") and isinstance(value, ast.Call)
            ):
                abstract = self.memory.new(added.kind if added.kind.startswith(("array", "frame")) else abstract.kind)
                abstract.born = ()
                self.bind(target, abstract)
            if added.kind not in ("number", "unknown"):
                self.memory.grow(abstract, added, value, spread=not (is_element and _is_textual(added)))
        return True

    def _spreads_itself(self, target: ast.expr, value: ast.expr) -> bool:
        """`rows = [*rows, line]`, `table = {**table, key: value}`: the same as putting it in."""
        name = text_source(target)
        if isinstance(value, ast.Dict):
            spread = [one for key, one in zip(value.keys, value.values, strict=True) if key is None]
            rest = [one for key, one in zip(value.keys, value.values, strict=True) if key is not None]
            rest += [key for key in value.keys if key is not None]
        elif isinstance(value, (ast.List, ast.Tuple, ast.Set)):
            spread = [one.value for one in value.elts if isinstance(one, ast.Starred)]
            rest = [one for one in value.elts if not isinstance(one, ast.Starred)]
        else:
            return False
        if name not in map(text_source, spread):
            return False
        holder = self.evaluate(target)
        for one in rest:
            item = self.evaluate(one)
            if item.of_input or item.fraction > 0:
                self.memory.grow(holder, item, value, spread=False)
        for one in spread:
            if text_source(one) != name:
                self.memory.grow(holder, self.iterated(self.evaluate(one)), value, spread=True)
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


def _is_textual(added: AbstractValue) -> bool:
    """Whether it stays one thing where it is added to what stands in a table: `table[key] += text`."""
    return added.kind in (*TEXTS, "bytes", "chunk")


def _reads_element(target: ast.expr, value: ast.expr) -> bool:
    """Whether `value` is `table.get(key, b"")`, where the target is `table[key]`."""
    if not isinstance(target, ast.Subscript) or not isinstance(value, ast.Call) or len(value.args) != 2:
        return False
    if isinstance(value.args[1], ast.Constant) and isinstance(value.args[1].value, (int, float)):
        return False  # a count
    read = f"{text_source(target.value)}.get"
    return text_source(value.func) == read and text_source(value.args[0]) == text_source(target.slice)


def _text_of(value: ast.expr) -> list[ast.expr]:
    """Of what a text is put together: f"{a}{b}", "".join([a, b]), "{}{}".format(a, b), "%s%s" % (a, b)."""
    if isinstance(value, ast.JoinedStr):
        return [part.value for part in value.values if isinstance(part, ast.FormattedValue)]
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mod) and isinstance(value.right, ast.Tuple):
        return value.right.elts
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        if value.func.attr == "join" and value.args and isinstance(value.args[0], (ast.List, ast.Tuple)):
            return value.args[0].elts
        if value.func.attr == "format":
            return value.args
    return []


# Imports: libraries by their name, and modules of the script's own, which are gone through.

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
