"""Lists, dicts, sets and arrays: what is put in, copied, emptied, or turned into a list."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.values import ARRAYS, FRAMES, LISTS, Thing, text_source
from oomguard.script_analysis.libraries.python import same

if TYPE_CHECKING:
    import ast

    from oomguard.script_analysis.interpreter.calls import Call, Handler, Methods
    from oomguard.script_analysis.interpreter.expressions import Expressions


_FIXED_TOLIST = 64 << 20  # a buffer whose list takes less is nobody's trouble
_LIST_ELEMENT = 40.0  # bytes of an int above 256 and its slot in a list
_CONTAINERS = frozenset(
    {"list", "dict", "set", "bounded", "compact", "textbuffer", "bytebuffer", "buffer", *LISTS, *ARRAYS}
)


def dtype_bytes(node: ast.Call) -> int | None:
    """Bytes of an element by the dtype that a call names; None: it names none."""
    for word in node.keywords:
        if word.arg == "dtype":
            return _bits(text_source(word.value))
    for argument in node.args[1:]:
        found = _bits(text_source(argument))
        if found and "int" in text_source(argument):
            return found
    return None


def _bits(text: str) -> int | None:
    if re.search(r"(int|float)16|short|u2|'H'|half", text):
        return 2
    if re.search(r"(int|float)32|u4|i4|'I'", text):
        return 4
    return 8 if re.search(r"64|long|\bint\b", text) else None


def _array(it: Expressions, call: Call) -> Thing:
    source = it.iterated(call.args[0]) if call.args else Thing()
    sort = f"array{dtype_bytes(call.node) or 8}"
    if source.share <= 0 or source.sort in ("paths", "column"):
        return it.ledger.new(sort, of_input=source.of_input)
    if source.sort in ARRAYS and not text_source(call.node.func).endswith(("array", "tensor")):
        return source
    if source.sort in ARRAYS and "asarray" in text_source(call.node.func):
        return source
    rule = "copy" if source.sort in ARRAYS else "array-of-list"
    return it.ledger.make(rule, call.node, sort, source.share)


def _joined_arrays(it: Expressions, call: Call) -> Thing:
    given = call.args[0] if call.args else Thing()
    several = list(given.parts.values()) if given.sort in ("tuple", "list") and given.parts else [given, *call.args[1:]]
    source = it.largest([one for one in several if one.sort != "number"])
    share = min(1.0, sum(one.share for one in several))
    if share <= 0:
        return it.ledger.new(source.one().sort if source.sort in LISTS else source.sort, of_input=source.of_input)
    item = source.one()
    sort = item.sort if source.sort in ("token_arrays", "frames") else source.sort
    sort = sort if sort in (*ARRAYS, *FRAMES) else "array8" if source.sort in LISTS else source.sort
    return it.ledger.make("concatenate", call.node, sort, share)


def _empty(it: Expressions, call: Call) -> Thing:
    size = call.args[0] if call.args else call.kwargs.get("shape", Thing())
    if size.sort == "tuple" and size.parts:
        size = next(iter(size.parts.values()))
    width = dtype_bytes(call.node) or 8
    if size.fraction:
        return it.ledger.make("growing-array", call.node, f"array{width}", size.fraction)
    made = it.ledger.new(f"array{width}")
    if isinstance(size.value, int) and 0 < size.value < 1 << 50:
        made.value, made.fixed = size.value, float(width * size.value)
    return made


def _container(it: Expressions, call: Call) -> Thing | None:
    if call.name in ("append", "add", "appendleft", "insert", "push", "write", "put") and call.args:
        it.ledger.grow(
            call.owner,
            call.args[-1],
            call.node,
            spread=call.owner.sort in ("text", "bytes", "textbuffer", "bytebuffer"),
        )
        return Thing()
    if call.name in ("extend", "extendleft", "update", "fromlist", "frombytes"):
        if call.args and not (call.name == "update" and call.owner.sort in ("set", "dict")):
            source = call.args[0]
            it.ledger.grow(call.owner, source, call.node, spread=True)
        return Thing()
    if call.name == "setdefault" and len(call.args) > 1:
        return call.owner
    if call.name in ("clear", "pop", "popleft", "popitem", "truncate"):
        it.ledger.flush(call.owner)
        return (
            call.owner.one()
            if call.name.startswith("pop") and call.owner.item is not None
            else Thing(of_input=call.owner.of_input)
        )
    if call.name in ("getvalue", "getbuffer"):
        return call.owner
    if call.name == "tolist":
        return tolist(it, call.node, call.owner)
    if call.name in ("values", "items", "keys", "copy"):
        return call.owner
    if call.name == "get":
        return call.owner.one() if call.owner.share > 0 or call.owner.of_input else Thing()
    if call.name in ("astype", "to", "view", "reshape", "flatten", "ravel", "tobytes", "numpy", "long", "int", "cpu"):
        return _array_copy(it, call.node, call.owner, call.name)
    return (
        Thing(sort="number")
        if call.name in ("index", "count", "sort", "reverse", "tofile", "seek", "tell", "sum", "max", "min")
        else None
    )


def _array_copy(it: Expressions, node: ast.Call, owner: Thing, name: str) -> Thing:
    if name in ("view", "reshape", "ravel", "numpy", "cpu") or owner.share <= 0:
        return owner
    sort = f"array{dtype_bytes(node) or _bits(text_source(node)) or 8}" if name in ("astype", "to") else owner.sort
    return it.ledger.make("copy", node, sort, owner.share)


def tolist(it: Expressions, node: ast.Call, owner: Thing) -> Thing:
    """array.tolist(): Python ints of an array's elements."""
    if owner.sort in ("column", *FRAMES):
        return it.ledger.make("tolist", node, "documents", owner.share)
    if owner.share > 0:
        return it.ledger.make("tolist", node, "tokens", owner.share, way="tolist")
    elements = owner.value if owner.sort in ARRAYS and isinstance(owner.value, int) else 0
    if elements * _LIST_ELEMENT > _FIXED_TOLIST:
        it.ledger.trap("tolist", node, "tokens", held=0.0, fixed=elements * _LIST_ELEMENT)
        it.ledger.note_peak(fixed=elements * _LIST_ELEMENT, line=node.lineno)
    return it.ledger.new("tokens", of_input=owner.of_input)


FUNCTIONS: dict[str, Handler] = {
    **dict.fromkeys(
        ("numpy.array", "numpy.asarray", "numpy.fromiter", "numpy.asanyarray", "torch.tensor", "torch.as_tensor",
         "torch.LongTensor", "jax.numpy.array", "tensorflow.constant"), _array,
    ),
    **dict.fromkeys(
        ("numpy.concatenate", "numpy.hstack", "numpy.append", "numpy.vstack", "numpy.stack", "torch.cat", "torch.stack",
         "torch.concat", "pandas.concat", "polars.concat"), _joined_arrays,
    ),
    **dict.fromkeys(("numpy.empty", "numpy.zeros", "numpy.ones", "numpy.full"), _empty),
    **dict.fromkeys(("numpy.memmap", "numpy.lib.format.open_memmap"), lambda *_: Thing(sort="output")),
    **dict.fromkeys(("numpy.frombuffer", "torch.from_numpy"), same),
    "numpy.load": lambda *_: Thing(),
}  # fmt: skip
METHODS: Methods = ((_CONTAINERS, _container),)
