"""Lists, dicts, sets and arrays: what is put in, copied, emptied, or turned into a list."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from oomguard.script_analysis.file_names import is_small_file, path_name
from oomguard.script_analysis.interpreter.calls import ANYWHERE, FUNCTIONS, methods_of
from oomguard.script_analysis.interpreter.values import (
    ARRAYS,
    FRAMES,
    LIST_OF,
    LISTS,
    STREAMED,
    TEXTS,
    AbstractValue,
    kept_item,
    text_source,
)
from oomguard.script_analysis.libraries.python import same

if TYPE_CHECKING:
    import ast

    from oomguard.script_analysis.interpreter.calls import Call
    from oomguard.script_analysis.interpreter.expressions import Expressions


_FIXED_TOLIST = 64 << 20  # a buffer whose list takes less is nobody's trouble
_DOUBLE = 8.0  # bytes of a float64
_LIST_ELEMENT = 40.0  # bytes of an int above 256 and its slot in a list
_CONTAINERS = frozenset(
    {
        "list",
        "dict",
        "set",
        "counter",
        "element",
        "bounded",
        "compact",
        "textbuffer",
        "bytebuffer",
        "buffer",
        "file_array",
        *LISTS,
        *ARRAYS,
    }
)


# Methods that take in all that their argument consists of.
_ALL_OF_IT = frozenset(
    ("extend", "extendleft", "update", "fromlist", "frombytes", "__iadd__", "__ior__", "union_update"),
)  # fmt: skip


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


def _array(it: Expressions, call: Call) -> AbstractValue:
    source = it.iterated(call.args[0]) if call.args else AbstractValue()
    kind = f"array{dtype_bytes(call.node) or 8}"
    if source.fraction <= 0 or source.kind in ("paths", "column"):
        return it.memory.new(kind, of_input=source.of_input)
    if source.kind in ARRAYS and not text_source(call.node.func).endswith(("array", "tensor")):
        return source
    if source.kind in ARRAYS and "asarray" in text_source(call.node.func):
        return source
    if source.kind in ("file_array", "stored"):
        return source if "asarray" in text_source(call.node.func) else it.memory.make(
            "copy", call.node, "file_array", source.fraction, weight=source.weight, each=source.each
        )  # fmt: skip
    rule = "copy" if source.kind in ARRAYS else "array-of-list"
    return it.memory.make(rule, call.node, kind, source.fraction, each=source.each)


def _read_array(it: Expressions, call: Call) -> AbstractValue:
    """np.fromfile and np.load: the bytes of a file as an array, unless it is mapped."""
    path = call.args[0] if call.args else AbstractValue()
    mapped = call.kwargs.get("mmap_mode")
    if mapped is not None and mapped.kind != "none":
        return it.memory.new("stored", fraction=1.0, of_input=True, named="map")
    count = call.kwargs.get("count") or (call.args[2] if len(call.args) > 2 else None)
    named = is_small_file(path_name(call.node.args[0]), call.hint) if call.node.args else False
    if path.small or named:
        it.memory.assume_small(call.node)
        return AbstractValue()
    if count is not None and not (isinstance(count.value, int) and count.value < 0):
        it.memory.advance(path)
        return it.memory.new("file_array", of_input=True)
    each = path.kind == "path_of_many" or "many" in path.parts
    made = it.memory.make("whole-read", call.node, "file_array", 1.0, each=each)
    made.value = dtype_bytes(call.node)
    return made


def _view(it: Expressions, call: Call) -> AbstractValue:
    """np.frombuffer: the bytes of a piece, as numbers of some width."""
    given = call.args[0] if call.args else AbstractValue()
    if given.fraction > 0 or not given.of_input or given.kind not in (*TEXTS, "bytes", "chunk"):
        return given
    said = len(call.node.args) > 1 or any(word.arg == "dtype" for word in call.node.keywords)
    width = (dtype_bytes(call.node) or _bits(text_source(call.node)) or 1) if said else 8
    return it.memory.new("file_array", of_input=True, value=width)


def _all_by_all(it: Expressions, call: Call) -> AbstractValue:
    """Similarities or distances of all rows to all rows."""
    rows = call.args[0] if call.args else AbstractValue()
    if rows.fraction <= 0 or call.name == "radius_neighbors":
        return it.unknown_call(text_source(call.node.func), call.args, node=call.node)
    return pairwise(it, call.node, rows)


def _times(it: Expressions, call: Call) -> AbstractValue | None:
    """np.dot(x, x.T), torch.mm(x, x.t()): all rows by all rows, where both are the input."""
    whole = [one for one in (call.owner, *call.args) if one.fraction > 0 and one.kind not in STREAMED]
    if len(whole) < 2:
        if call.owner.kind != "unknown" or not whole:
            return None
        made = it.memory.make("copy", call.node, "file_array", whole[0].fraction, each=whole[0].each)
        made.value = whole[0].value if isinstance(whole[0].value, int) else None
        return made
    return pairwise(it, call.node, whole[0])


def _square(it: Expressions, call: Call) -> AbstractValue:
    """squareform(pdist(x)): the pairs once more, both ways."""
    given = call.args[0] if call.args else AbstractValue()
    if given.kind != "matrix":
        return given
    it.memory.report("all-by-all", call.node, "matrix", held=0.0, squared=1.5 * _DOUBLE, each=given.each)
    return given


def pairwise(it: Expressions, node: ast.AST, rows: AbstractValue) -> AbstractValue:
    """A number for each pair of documents."""
    it.memory.report("all-by-all", node, "matrix", held=0.0, squared=_DOUBLE, each=rows.each)
    return it.memory.new("matrix", fraction=rows.fraction, of_input=True, weight=0.0, line=getattr(node, "lineno", 0))


def _joined_arrays(it: Expressions, call: Call) -> AbstractValue:
    given = call.args[0] if call.args else AbstractValue()
    several = list(given.parts.values()) if given.kind in ("tuple", "list") and given.parts else [given, *call.args[1:]]
    source = it.largest([one for one in several if one.kind != "number"])
    fraction = min(1.0, sum(one.fraction for one in several))
    if fraction <= 0:
        return it.memory.new(source.one().kind if source.kind in LISTS else source.kind, of_input=source.of_input)
    item = source.one()
    if source.kind == "paths":
        return it.memory.new("unknown")
    if source.kind == "stream" and item.kind not in (*ARRAYS, *FRAMES, "file_array"):
        return it.memory.keep_all(call.node, source)
    kind = item.kind if source.kind in ("token_arrays", "frames", "stream") else source.kind
    kind = kind if kind in (*ARRAYS, *FRAMES, "file_array") else "array8" if source.kind in LISTS else source.kind
    each = all(one.each for one in several if one.fraction > 0)
    rule = "concat-tables" if kind in FRAMES else "concatenate"
    return it.memory.make(rule, call.node, kind, fraction, each=each)


def _empty(it: Expressions, call: Call) -> AbstractValue:
    size = call.args[0] if call.args else call.kwargs.get("shape", AbstractValue())
    width = dtype_bytes(call.node) or 8
    if size.kind == "tuple" and size.parts:
        if sum(bool(one.of_length) for one in size.parts.values()) > 1:
            it.memory.report("all-by-all", call.node, "matrix", held=0.0, squared=float(width))
            return it.memory.new("matrix", of_input=True, weight=0.0)
        size = next(iter(size.parts.values()))
    if size.of_length:
        return it.memory.make("growing-array", call.node, f"array{width}", size.of_length)
    made = it.memory.new(f"array{width}")
    if isinstance(size.value, int) and 0 < size.value < 1 << 50:
        made.value, made.fixed = size.value, float(width * size.value)
    return made


def _container(it: Expressions, call: Call) -> AbstractValue | None:
    holder = call.owner.parts["of"] if call.owner.kind == "element" else call.owner
    buffer = holder.kind in ("textbuffer", "bytebuffer")
    written = buffer and call.name in ("write", "writelines", "writerow", "writerows", "writestr", "addfile")
    if call.owner.kind == "element" and call.args:
        listed = LIST_OF.get(call.args[-1].kind)
        holder.inner = holder.inner or (kept_item(AbstractValue(kind=listed)) if listed else None)
    if (written or call.name in ("append", "add", "appendleft", "insert", "push", "new_child")) and call.args:
        it.memory.grow(
            holder,
            call.args[-1],
            call.node,
            spread=call.owner.kind in ("text", "bytes", "textbuffer", "bytebuffer"),
        )
        return AbstractValue() if call.name != "new_child" else call.owner
    if call.name == "create_task" and call.args:  # a TaskGroup's
        it.memory.grow(holder, call.args[0], call.node, spread=False)
        return it.memory.new("worker")
    if call.name == "__setitem__" and len(call.args) == 2:
        for one in call.args:
            if one.of_input or one.fraction > 0:
                it.memory.grow(holder, one, call.node, spread=False)
        return AbstractValue()
    if call.name == "fromfile" and len(call.args) > 1:  # array.fromfile(file, count)
        if call.args[1].of_length:
            return it.memory.make("growing-array", call.node, "bytes", 1.0)
        it.memory.grow(holder, AbstractValue(kind="chunk", of_input=True), call.node, spread=True)
        return AbstractValue()
    if call.name == "tofile" and call.args and call.args[0].kind == "bytebuffer":
        it.memory.grow(call.args[0], call.owner, call.node, spread=True)
        return AbstractValue()
    if call.name in _ALL_OF_IT:
        if call.args:
            it.memory.grow(holder, it.iterated(call.args[0]), call.node, spread=True)
        return call.owner if call.name.startswith("__") else AbstractValue()
    if call.name in ("write", "put", "writelines"):
        return AbstractValue()  # of what stands in the list: a file
    if call.name == "setdefault" and len(call.args) > 1:
        for one in call.args[:2]:
            if one.of_input:
                it.memory.grow(holder, one, call.node, spread=False)
        return AbstractValue(kind="element", parts={"of": holder}, born=holder.born)
    if call.name in ("clear", "pop", "popleft", "popitem", "truncate"):
        it.memory.flush(call.owner)
        return (
            call.owner.one()
            if call.name.startswith("pop") and call.owner.item is not None
            else AbstractValue(of_input=call.owner.of_input)
        )
    if call.name in ("getvalue", "getbuffer"):
        return call.owner
    if call.name == "tolist":
        return tolist(it, call.node, call.owner)
    if call.name in ("t", "transpose"):
        return call.owner
    if call.name == "most_common":
        return it.memory.new("list")
    if call.name in ("values", "items", "keys", "copy"):
        return call.owner
    if call.name == "get":
        known = call.owner.item is not None or call.owner.fraction > 0 or call.owner.of_input
        return call.owner.one() if known else AbstractValue()
    if call.name in ("astype", "to", "view", "reshape", "flatten", "ravel", "tobytes", "numpy", "long", "int", "cpu"):
        return _array_copy(it, call.node, call.owner, call.name)
    return (
        AbstractValue(kind="number")
        if call.name in ("index", "count", "sort", "reverse", "tofile", "seek", "tell", "sum", "max", "min")
        else None
    )


def _array_copy(it: Expressions, node: ast.Call, owner: AbstractValue, name: str) -> AbstractValue:
    wanted = dtype_bytes(node) or _bits(text_source(node)) or 8
    if owner.kind == "file_array" and owner.fraction <= 0 and owner.of_input and name == "astype":
        weight = owner.weight * wanted / (owner.value or wanted)
        return it.memory.new("file_array", of_input=True, weight=weight, value=wanted)
    if name in ("view", "reshape", "ravel", "numpy", "cpu") or owner.fraction <= 0:
        return owner
    if owner.kind == "file_array":
        weight = wanted / (owner.value or wanted) if name in ("astype", "to", "long", "int") else 1.0
        return it.memory.make("copy", node, "file_array", owner.fraction, weight=weight, each=owner.each)
    kind = f"array{wanted}" if name in ("astype", "to") else owner.kind
    return it.memory.make("copy", node, kind, owner.fraction, each=owner.each)


def tolist(it: Expressions, node: ast.Call, owner: AbstractValue) -> AbstractValue:
    """array.tolist(): Python ints of an array's elements."""
    if owner.kind in ("column", *FRAMES):
        return it.memory.make("column-tolist", node, "documents", owner.fraction)
    if owner.fraction > 0:
        return it.memory.make("tolist", node, "tokens", owner.fraction, representation="tolist")
    elements = owner.value if owner.kind in ARRAYS and isinstance(owner.value, int) else 0
    if elements * _LIST_ELEMENT > _FIXED_TOLIST:
        it.memory.report("tolist", node, "tokens", held=0.0, fixed=elements * _LIST_ELEMENT)
        it.memory.note_peak(fixed=elements * _LIST_ELEMENT, line=node.lineno)
    return it.memory.new("tokens", of_input=owner.of_input)


def _tolist(it: Expressions, call: Call) -> AbstractValue:
    return tolist(it, call.node, call.owner)


def _matrix(it: Expressions, call: Call) -> AbstractValue | None:
    """A vectorizer's fit_transform: a sparse matrix of all words of all documents."""
    given = it.iterated(call.args[0]) if call.args else AbstractValue()
    if given.fraction <= 0 or given.kind == "paths":
        return None
    return it.memory.make("matrix", call.node, "matrix", given.fraction, each=given.each)


def _itself(_: Expressions, call: Call) -> AbstractValue | None:
    return call.owner if call.owner.fraction > 0 else None


FUNCTIONS.update({
    **dict.fromkeys(
        ("numpy.array", "numpy.asarray", "numpy.fromiter", "numpy.asanyarray", "torch.tensor", "torch.as_tensor",
         "torch.LongTensor", "jax.numpy.array", "tensorflow.constant"), _array,
    ),
    **dict.fromkeys(
        ("numpy.concatenate", "numpy.hstack", "numpy.append", "numpy.vstack", "numpy.stack", "torch.cat", "torch.stack",
         "torch.concat", "pandas.concat", "polars.concat"), _joined_arrays,
    ),
    **dict.fromkeys(("numpy.empty", "numpy.zeros", "numpy.ones", "numpy.full"), _empty),
    **dict.fromkeys(
        ("numpy.dot", "numpy.matmul", "numpy.inner", "numpy.outer", "numpy.subtract.outer", "numpy.equal.outer",
         "numpy.add.outer", "numpy.multiply.outer", "numpy.less.outer", "torch.matmul", "torch.mm", "torch.outer",
         "torch.einsum", "numpy.einsum", "numpy.tensordot"), _times,
    ),
    "scipy.spatial.distance.squareform": _square,
    "torch.from_numpy": same,
    **dict.fromkeys(("numpy.frombuffer", "torch.frombuffer"), _view),
    **dict.fromkeys(("numpy.load", "numpy.fromfile", "torch.from_file"), _read_array),
    **dict.fromkeys(
        ("sklearn.metrics.pairwise.cosine_similarity", "sklearn.metrics.pairwise.linear_kernel",
         "sklearn.metrics.pairwise_distances", "sklearn.metrics.pairwise.pairwise_distances",
         "sklearn.metrics.pairwise.cosine_distances", "sklearn.metrics.pairwise.euclidean_distances",
         "sklearn.metrics.pairwise.pairwise_kernels", "scipy.spatial.distance.cdist", "scipy.spatial.distance.pdist",
         "torch.cdist", "sentence_transformers.util.cos_sim"), _all_by_all,
    ),
})  # fmt: skip
methods_of(_CONTAINERS, _container)
ANYWHERE.update(
    {
        "tolist": _tolist,
        **dict.fromkeys(("dot", "matmul", "mm"), _times),
        "fit_transform": _matrix,
        **dict.fromkeys(("numpy", "cpu", "copy"), _itself),
    }
)
