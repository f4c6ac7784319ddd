"""Arrays on disk: h5py, zarr, netCDF4, memory maps. They hold nothing; what is taken out of them is memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.script_analysis.file_names import is_small_file, path_name
from oomguard.script_analysis.interpreter.calls import FUNCTIONS, methods_of
from oomguard.script_analysis.interpreter.values import ARRAYS, AbstractValue, text_source
from oomguard.script_analysis.libraries.containers import dtype_bytes
from oomguard.script_analysis.libraries.files import in_memory

if TYPE_CHECKING:
    import ast

    from oomguard.script_analysis.interpreter.calls import Call, Handler
    from oomguard.script_analysis.interpreter.expressions import Expressions

# Functions of numpy that give one number, or a few, for a whole array; they go through it a piece at a time.
_SUMMARIES = (
    "sum", "mean", "max", "min", "amax", "amin", "std", "var", "any", "all", "argmax", "argmin", "prod", "shape",
    "ndim", "size", "count_nonzero", "bincount", "histogram", "array_equal", "nbytes",
)  # fmt: skip
_VIEWS = (
    "reshape", "ravel", "squeeze", "transpose", "array_split", "split", "expand_dims", "broadcast_to", "flip",
    "atleast_1d", "atleast_2d", "asarray", "asanyarray",
)  # fmt: skip
_COPIES = (
    "sort", "argsort", "unique", "where", "copy", "clip", "abs", "log", "exp", "sqrt", "diff", "cumsum", "take",
    "delete", "insert", "roll", "repeat", "tile", "nonzero", "isin", "random.permutation", "median", "percentile",
    "quantile", "ascontiguousarray", "pad", "mod", "add", "subtract", "multiply", "divide",
    "array", "fromiter", "log1p",
)  # fmt: skip
_DISK = ("r+", "r", "c")


def _opened(place: int, written: str = "wax", named: str = "") -> Handler:
    """A file of arrays, read unless its mode says that it is written; `named`: "map" where slices are views of it."""

    def read(it: Expressions, call: Call) -> AbstractValue:
        given = call.kwargs.get("mode") or (call.args[place] if len(call.args) > place else None)
        mode = given.value if given is not None and isinstance(given.value, str) else ""
        if mode and mode not in _DISK and any(letter in mode for letter in written):
            if call.args and in_memory(call.args[0], call.node.args[0] if call.node.args else None):
                it.memory.cannot_see(call.node, "an array in /dev/shm is memory, and grows as it is filled")
            return AbstractValue(kind="output")
        if call.node.args and is_small_file(path_name(call.node.args[0]), call.hint):
            it.memory.assume_small(call.node)
            return AbstractValue()
        made = stored(it, call)
        made.named = named
        return made

    return read


def stored(it: Expressions, call: Call) -> AbstractValue:
    """An array that stays on disk until it is asked for."""
    it.memory.read_at(call.node)
    path = call.args[0] if call.args else AbstractValue()
    each = path.kind == "path_of_many" or "many" in path.parts
    return it.memory.new("stored", fraction=1.0, of_input=True, value=dtype_bytes(call.node), each=each)


def take_out(it: Expressions, node: ast.AST, source: AbstractValue, wanted: int | None = None) -> AbstractValue:
    """All of it as an array in memory; `wanted`: bytes of an element, where they change."""
    width = source.value if isinstance(source.value, int) else None
    weight = wanted / width if wanted and width else 1.0
    made = it.memory.make("whole-read", node, "file_array", source.fraction, weight=weight, each=source.each)
    made.value = wanted or width
    return made


def _method(it: Expressions, call: Call) -> AbstractValue | None:
    owner, name = call.owner, call.name
    if name in ("astype", "copy", "tobytes", "flatten", "repeat", "take", "compute", "load", "read", "nonzero", "clip"):
        if name == "read" and call.args:
            return it.memory.new("file_array", of_input=True)
        return take_out(it, call.node, owner, dtype_bytes(call.node) if name == "astype" else None)
    if name in ("tolist", "to_list", "to_numpy", "to_pandas", "to_dataframe", "iter_rows_all"):
        kind = "tokens" if owner.value else "documents"
        return it.memory.make("tolist" if kind == "tokens" else "list-of-input", call.node, kind, owner.fraction)
    if name in _SUMMARIES or name in ("close", "flush", "keys", "attrs", "resize", "len"):
        return AbstractValue(kind="number")
    if name.startswith(("create_", "require_", "empty", "zeros")):
        return AbstractValue(kind="output")
    if name in ("iterrows", "iter_chunks", "values", "items", "itersorted"):
        return it.memory.new("stream", fraction=owner.fraction, item=_piece(it), of_input=True)
    return owner  # a group's member, a view, __enter__


def _piece(it: Expressions) -> AbstractValue:
    return it.memory.new("file_array", of_input=True)


def _numpy(name: str) -> Handler:
    """What a function of numpy makes of all of an array."""

    def called(it: Expressions, call: Call) -> AbstractValue | None:
        whole = next(
            (one for one in call.args if one.fraction > 0 and one.kind in ("stored", "file_array", *ARRAYS)), None
        )
        if whole is None:
            return it.unknown_call(text_source(call.node.func), call.args, node=call.node)
        if name in _SUMMARIES:
            return AbstractValue(kind="number")
        if name in _VIEWS:
            return whole
        if whole.kind == "stored":
            return take_out(it, call.node, whole)
        made = it.memory.make("copy", call.node, whole.kind, whole.fraction, weight=whole.weight, each=whole.each)
        made.value = whole.value
        return made

    return called


FUNCTIONS.update({
    **{f"numpy.{name}": _numpy(name) for name in (*_SUMMARIES, *_VIEWS, *_COPIES) if f"numpy.{name}" not in FUNCTIONS},
    **dict.fromkeys(("numpy.memmap", "numpy.lib.format.open_memmap"), _opened(2, "w", "map")),
    **dict.fromkeys(("h5py.File", "zarr.open", "zarr.open_group", "zarr.open_array", "zarr.open_consolidated",
                     "netCDF4.Dataset", "tables.open_file", "tables.File", "xarray.open_zarr", "xarray.open_dataset",
                     "scipy.io.netcdf_file"), _opened(1)),
    **dict.fromkeys(("zarr.load", "xarray.load_dataset", "scipy.io.loadmat"), lambda it, call: take_out(
        it, call.node, stored(it, call))),
})  # fmt: skip
methods_of({"stored"}, _method)


# Stores of keys and values, and files of several tables.


def _key_values(it: Expressions, call: Call) -> AbstractValue | None:
    """lmdb, plyvel: a value at a time, or all of them, one after the other."""
    if call.name in ("get", "pop", "value", "key", "item"):
        return it.memory.new("chunk", of_input=True)
    if call.name in ("put", "delete", "close", "sync", "replace", "write", "commit", "putmulti", "stat", "drop"):
        return AbstractValue()
    return call.owner  # begin(), cursor(), iterator()


def _table_of(it: Expressions, call: Call) -> AbstractValue | None:
    """`pd.ExcelFile(path).parse(sheet)`: a table whole."""
    if call.name in ("parse", "select", "get", "read"):
        return it.memory.make("dataframe", call.node, "frame_csv", 1.0, each=call.owner.each)
    return call.owner if call.name == "__enter__" else AbstractValue()


FUNCTIONS.update(
    {
        **dict.fromkeys(
            ("lmdb.open", "lmdb.Environment", "plyvel.DB", "rocksdict.Rdict", "dbm.open", "leveldb.LevelDB"),
            lambda it, _: it.memory.new("kvstore"),
        ),
        **dict.fromkeys(("pandas.HDFStore", "pandas.ExcelFile"), lambda it, _: it.memory.new("tables")),
    }
)
methods_of({"kvstore"}, _key_values)
methods_of({"tables"}, _table_of)
