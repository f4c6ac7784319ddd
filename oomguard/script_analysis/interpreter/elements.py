"""Elements, slices and attributes: what a part of a value is."""

from __future__ import annotations

import ast

from oomguard.script_analysis.file_names import is_list_key, is_short_key
from oomguard.script_analysis.interpreter.interpretation import Interpretation
from oomguard.script_analysis.interpreter.memory_model import WORTH_TELLING
from oomguard.script_analysis.interpreter.values import (
    ARRAYS,
    FRAMES,
    LISTS,
    POINTER,
    SMALL_ITEMS,
    TEXTS,
    TOKEN_POINTER,
    AbstractValue,
    text_source,
)

_STREAMS = frozenset({"rfile", "stdin", "stream", "reader"})  # of a request that a server hands over
_SPLITS = {"train", "validation", "test", "val", "valid", "dev"}
_SPLIT_NAMES = {"split", "subset", "part", "split_name", "name", "key"}
_BOUND = frozenset({
    "append", "add", "extend", "update", "insert", "appendleft", "extendleft", "write", "writelines", "put",
    "setdefault", "submit", "map", "readline", "read", "__setitem__", "__iadd__", "__ior__", "put_nowait", "frombytes",
    "fromlist", "subtract", "push", "pop", "popleft", "get", "clear", "writerow", "writerows", "writestr", "readlines",
})  # fmt: skip


class Elements(Interpretation):
    """What `a[b]` and `a.b` give."""

    def visit_Subscript(self, node: ast.Subscript) -> AbstractValue:
        owner = self.evaluate(node.value)
        own = self.special(owner, "__getitem__")
        if own is not None and not isinstance(node.slice, ast.Slice):
            return self.call_function(own, [owner, self.evaluate(node.slice)], {})
        if isinstance(node.slice, ast.Slice):
            return self._slice(node, owner)
        index = self.evaluate(node.slice)
        key = index.value
        if owner.kind == "stored":
            return self._from_disk(node, owner, index)
        if owner.kind == "tables":  # pd.HDFStore("x.h5")["docs"]
            return self.memory.make("dataframe", node, "frame_csv", 1.0, each=owner.each)
        if owner.kind == "paths" and isinstance(key, int):
            return AbstractValue(kind="path")  # the first of them, or the last
        if key == "Body" and owner.kind in (
            "unknown",
            "file",
            "parameter",
            "record",
        ):  # boto3's get_object(...)["Body"]
            return self._body()
        if owner.kind in ("tuple", "dict") and str(key) in owner.parts:
            return owner.parts[str(key)]
        if owner.kind == "dataset" or (owner.kind == "stream" and owner.value == "dataset"):
            if key in _SPLITS or (not isinstance(key, str) and text_source(node.slice) in _SPLIT_NAMES):
                return owner
            if not isinstance(key, str):
                return self.memory.new("record", of_input=True)
            return (
                self.memory.make("list-of-input", node, "documents", owner.fraction, representation="dataset_column")
                if owner.fraction and owner.kind == "dataset"
                else AbstractValue()
            )
        if owner.kind in FRAMES and _is_mask(node.slice) and owner.fraction > 0:
            return self.memory.make("copy", node, owner.kind, owner.fraction, each=owner.each)
        if owner.kind in FRAMES and _is_mask(node.slice):
            return self.memory.new(owner.kind, of_input=owner.of_input)
        if owner.kind in FRAMES:
            return AbstractValue(
                kind="column", fraction=owner.fraction, weight=0.0, of_input=True, parts={"of": owner}, born=owner.born
            )
        if owner.kind in (*ARRAYS, "file_array") and owner.fraction > 0 and isinstance(node.slice, ast.Tuple):
            return owner  # x[:, None], x[:, 0]: a view
        if owner.kind == "json":
            return owner
        if owner.kind == "encoding":
            return owner.one()
        if owner.kind == "record":
            return self._field(owner, key)
        if owner.kind == "value":
            return self.memory.new("value", of_input=True)
        if owner.kind in LISTS and owner.item is not None:
            return owner.item
        if owner.kind == "words":
            return self.memory.new("line", of_input=owner.of_input)
        if owner.kind in ("list", "dict", "element") and owner.item is None:
            kept = next((part for name, part in owner.parts.items() if part.fraction > 0 and name != "of"), None)
            root = owner.parts["of"] if owner.kind == "element" else owner
            return kept or AbstractValue(kind="element", parts={"of": root}, born=root.born)
        if owner.item is not None or owner.fraction > 0 or owner.of_input:
            return owner.one()
        return AbstractValue(
            kind="path_of_many" if owner.kind == "paths" else "unknown", of_input=owner.of_input, origin=owner.origin
        )

    def downloaded(self, value: AbstractValue, node: ast.AST) -> AbstractValue:
        """The body of an answer from the network, where something is done with it."""
        if value.kind != "download":
            return value
        return self.memory.make("whole-read", node, "text" if value.value == "text" else "bytes", 1.0)

    def _body(self) -> AbstractValue:
        """An object of a store on the network, read as a file; in a loop one of many."""
        made = self.memory.new("file", value="binary", item=AbstractValue(kind="line", of_input=True))
        if self.memory.loops:
            made.parts["many"] = AbstractValue(kind="path_of_many")
        return made

    def _from_disk(self, node: ast.Subscript, owner: AbstractValue, index: AbstractValue) -> AbstractValue:
        """What is taken out of an array on disk: a member of a group by its name, all of it, or a piece."""
        if isinstance(index.value, str) or isinstance(node.slice, (ast.JoinedStr,)) or index.kind == "text":
            return owner
        everything = (isinstance(node.slice, ast.Constant) and node.slice.value is ...) or (
            isinstance(node.slice, ast.Tuple)
            and all(isinstance(one, ast.Slice) and one.lower is one.upper is None for one in node.slice.elts)
        )
        column = isinstance(node.slice, ast.Tuple) and any(
            isinstance(one, ast.Slice) and one.lower is one.upper is None for one in node.slice.elts[:1]
        )
        if everything or column or isinstance(node.slice, ast.Compare):  # [...], [()], [:, 0], [x > 5]
            return self._all_from_disk(node, owner)
        return self.memory.new("file_array", of_input=True)

    def _all_from_disk(self, node: ast.AST, owner: AbstractValue, share: float = 1.0) -> AbstractValue:
        """All of it, or a share, in memory; of a memory map a slice is a view."""
        if owner.named == "map" and not (isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Compare)):
            return self.memory.new(
                "stored",
                fraction=share * owner.fraction,
                of_input=True,
                named="map",
                value=owner.value,
                each=owner.each,
            )
        made = self.memory.make("whole-read", node, "file_array", share * owner.fraction, each=owner.each)
        made.value = owner.value
        return made

    def _field(self, record: AbstractValue, key: object) -> AbstractValue:
        """One field of a JSON object: a text, or a list of values where its name says so or nothing is known."""
        if isinstance(key, str) and is_short_key(key):
            return self.memory.new("digest", of_input=True)
        item = AbstractValue(kind="value", of_input=True)
        if isinstance(key, str) and is_list_key(key):
            return self.memory.new("values", of_input=True, item=item, weight=record.weight)
        listed = item if not isinstance(key, str) else None
        return self.memory.new("document", of_input=True, weight=record.weight, item=listed)

    def _slice(self, node: ast.Subscript, owner: AbstractValue) -> AbstractValue:
        assert isinstance(node.slice, ast.Slice)
        low, high = (self.evaluate(end) if end is not None else None for end in (node.slice.lower, node.slice.upper))
        if owner.kind == "dataset":
            return self.memory.make(
                "list-of-input", node, "records", owner.fraction if low is None and high is None else 0.0
            )
        if owner.kind == "stored":
            share = 0.0 if self._is_tail(node) else _sliced(low, high)
            if share > 0:
                return self._all_from_disk(node, owner, share)
            return self.memory.new("file_array", of_input=True)
        if owner.fraction <= 0 and owner.kind in ("list", "bytes", "chunk", *LISTS, *TEXTS):
            return self.memory.new(owner.kind, of_input=owner.of_input, item=owner.item)  # another object
        if owner.kind == "json" and self._is_tail(node):
            return self.memory.new("records", of_input=True, item=owner.item)
        if owner.fraction <= 0 or owner.kind not in (*LISTS, *TEXTS, *ARRAYS, "bytes", "mapped", "column"):
            return owner
        fraction = owner.fraction * (0.0 if self._is_tail(node) else _sliced(low, high))
        if owner.kind in LISTS:
            pointer = TOKEN_POINTER if owner.kind == "tokens" else POINTER
            made = self.memory.new(
                owner.kind, fraction=fraction, weight=owner.weight * pointer, of_input=True, parts={"of": owner},
                line=node.lineno, each=owner.each, value="piece" if high is not None else None,
            )  # fmt: skip
            worth = fraction >= owner.fraction or self.memory.cost(made) >= WORTH_TELLING  # all of it, or much
            if fraction > 0 and owner.kind in SMALL_ITEMS and worth:
                with self.memory.keeping([owner, made]):
                    self.memory.report("copy", node, made.kind, held=self.memory.cost(made), each=made.each)
                    self.memory.note_peak(line=node.lineno)
            return made
        if owner.kind in ("column", *ARRAYS):
            return self.memory.new(owner.kind, fraction=fraction, weight=0.0, of_input=True, parts={"of": owner})
        with self.memory.keeping([owner]):
            kind = "bytes" if owner.kind == "mapped" else owner.kind
            if fraction == 0:
                return self.memory.new("chunk" if kind == "bytes" else "document", of_input=True)
            return self.memory.make("copy", node, kind, fraction, representation="joined" if kind in TEXTS else "")

    def _member(self, owner: AbstractValue, name: str) -> AbstractValue:
        """What an object's class has by this name: a method, what a property gives, a value."""
        member: AbstractValue = owner.parts["class"].parts[name]
        if member.kind == "function" and member.named == "property":
            given = self.call_function(member, [owner], {})
            if "cached_property" in ast.unparse(member.value.decorator_list[0]):
                owner.parts[name] = given
            return given
        if member.kind == "function":
            return AbstractValue(kind="bound", value=name, parts={"self": owner, "function": member})
        describes = self.special(member, "__get__")
        return member if describes is None else self.call_function(describes, [member, owner], {})

    def _is_tail(self, node: ast.Subscript) -> bool:
        """Whether a slice takes so many from the end, `x[len(x) - n :]`, or what a loop's number says."""
        assert isinstance(node.slice, ast.Slice)
        low, high = node.slice.lower, node.slice.upper
        if high is None and isinstance(low, ast.BinOp) and isinstance(low.op, ast.Sub):
            return text_source(low.left) == f"len({text_source(node.value)})"
        named = {
            name.id for end in (low, high) if end is not None for name in ast.walk(end) if isinstance(name, ast.Name)
        }
        return low is not None and any(self.memory.counts(name) for name in named)

    def visit_Attribute(self, node: ast.Attribute) -> AbstractValue:
        owner = self.evaluate(node.value)
        name = node.attr
        if name in owner.parts:
            return owner.parts[name]
        if owner.kind == "object" and name in owner.parts.get("class", AbstractValue()).parts:
            return self._member(owner, name)
        if name in ("__name__", "__qualname__", "__module__", "__doc__"):
            return AbstractValue(kind="text", value=name)
        if name == "__class__" and "class" in owner.parts:
            return owner.parts["class"]
        if name == "__dict__" and owner.kind == "object":
            return owner.parts.setdefault("__dict__", AbstractValue(kind="dict", born=owner.born))
        if owner.named == "handed" and name in _STREAMS:
            return self.memory.new("file", value="binary", item=AbstractValue(kind="line", of_input=True))
        if owner.named == "handed":
            return self.memory.new("document", of_input=True, named="handed")
        if self.libraries.makes_tokens(name) and owner.kind not in (*TEXTS, "bytes", "chunk"):
            return AbstractValue(kind="tokenizer", value=name)
        if owner.kind == "own_module" and owner.home is not None:
            return owner.home.get(name, AbstractValue())
        if owner.kind == "lazy":
            return AbstractValue(kind="output") if name in ("write", "writeStream") else owner
        if owner.kind == "spark":
            return owner
        if name in _BOUND and owner.kind not in ("module", "unknown", "parameter", "object", "response"):
            return AbstractValue(kind="bound", value=name, parts={"self": owner}, born=owner.born)
        if owner.kind == "response" and name in ("text", "content"):
            if self.memory.loops:  # one of many pages
                return self.memory.new("document" if name == "text" else "chunk", of_input=True)
            return self.memory.new("download", value=name, line=node.lineno)
        if owner.kind == "record" and name not in ("dtype", "shape"):
            return self._field(owner, name)
        if owner.kind == "module":
            return self.libraries.attribute(self.memory, f"{owner.value}.{name}")
        if name in self.given_files and owner.kind in ("unknown", "parameter"):
            return self.given_files[name]
        if name in self.defaults and owner.kind in ("unknown", "parameter"):
            return AbstractValue(
                kind="number" if isinstance(self.defaults[name], (int, float)) else "unknown", value=self.defaults[name]
            )
        if owner.kind in ("encoding", "tokens", "token_lists") and name in ("ids", "input_ids"):
            return owner.one() if owner.kind == "encoding" else owner
        if name in ("size", "nbytes", "ndim", "itemsize", "shape", "dtype") and owner.kind not in (
            "own_module",
            "object",
        ):
            return AbstractValue(kind="number")
        if owner.kind == "stored":
            return self._all_from_disk(node, owner) if name in ("values", "data") else owner
        if owner.kind == "file" and name in ("buffer", "raw", "fileobj", "file"):
            return self.memory.new("file", value="binary", item=owner.item, parts=owner.parts, small=owner.small)
        if name == "st_size":
            return AbstractValue(kind="number", of_length=1.0)
        if owner.kind == "column" and name in ("str", "list"):
            return AbstractValue(
                kind="column", fraction=owner.fraction, weight=0.0, of_input=True, parts={"of": owner}, value="str",
                each=owner.each,
            )  # fmt: skip
        if owner.kind in FRAMES and not self.libraries.is_frame_method(name):
            return AbstractValue(
                kind="column", fraction=owner.fraction, weight=0.0, of_input=True, parts={"of": owner}, born=owner.born
            )
        if name in ("values", "T", "flat", "data", "array") and owner.fraction > 0:
            return owner
        if owner.kind in ("path", "path_of_many", "parameter"):
            return AbstractValue(kind=owner.kind, small=owner.small)
        return AbstractValue(of_input=owner.of_input, small=owner.small, origin=owner.origin, born=owner.born)


def _is_mask(index: ast.expr) -> bool:
    """Whether a table is filtered by it, rather than a column named."""
    return isinstance(index, (ast.Compare, ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Call))


def _sliced(low: AbstractValue | None, high: AbstractValue | None) -> float:
    """Give the part of something that a slice takes; a piece of bounded size is 0."""
    start = 0.0 if low is None else low.of_length
    end = 1.0 if high is None else high.of_length
    if start is not None and end is not None:
        return max(0.0, min(1.0, end) - start)
    if low is not None and high is not None:
        return 0.0
    known = low if low is not None else high
    assert known is not None
    if isinstance(known.value, int):  # [:1000] is a piece, [1000:] is nearly all
        return 0.0 if (low is None) == (known.value >= 0) else 1.0
    return 0.5  # at a place that only the running script knows
