"""pandas, polars, pyarrow and datasets: tables that are whole in memory, and those that come in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.script_analysis.file_names import is_small_file, path_name
from oomguard.script_analysis.interpreter.values import FRAMES, LIST_OF, AbstractValue, rule_for
from oomguard.script_analysis.libraries.python import same
from oomguard.script_analysis.libraries.tokenizers import apply

if TYPE_CHECKING:
    from oomguard.script_analysis.interpreter.calls import Call, Handler, Methods
    from oomguard.script_analysis.interpreter.expressions import Expressions


FRAME_METHODS = frozenset(
    ("iterrows", "itertuples", "apply", "map", "to_list", "to_dict", "to_pandas", "to_pylist", "head", "iter_rows",
     "iter_slices", "to_batches", "column", "to_numpy", "tolist", "astype", "sample", "drop_duplicates", "dropna",
     "iloc", "loc", "columns", "shape", "num_rows", "index", "len", "slice"),
)  # fmt: skip


def _frame(kind: str, *flags: str) -> Handler:
    """A table that is read whole, unless one of the flags makes it come in pieces."""

    def read(it: Expressions, call: Call) -> AbstractValue:
        asked = [flag for flag in flags if flag in call.kwargs and _is_set(call.kwargs[flag])]
        path = call.args[0] if call.args else AbstractValue()
        named_small = bool(call.node.args) and is_small_file(path_name(call.node.args[0]), call.hint)
        if path.small or named_small or {"nrows", "n_rows", "max_rows"}.intersection(asked):
            return AbstractValue()
        if asked:
            return it.memory.new("stream", fraction=1.0, item=AbstractValue(kind=kind, of_input=True), of_input=True)
        each = path.kind == "path_of_many" or "many" in path.parts
        return it.memory.make("dataframe", call.node, kind, 1.0, each=each)

    return read


def _is_set(flag: AbstractValue) -> bool:
    return flag.kind != "none" and flag.value is not False


def _parquet_file(it: Expressions, call: Call) -> AbstractValue:
    return it.memory.new(
        "parquet",
        of_input=True,
        parts={"many": call.args[0]} if call.args and call.args[0].kind == "path_of_many" else {},
    )


def _load_dataset(it: Expressions, call: Call) -> AbstractValue:
    streaming = call.kwargs.get("streaming")
    if streaming is not None and streaming.value is not False:
        return it.memory.new(
            "stream", fraction=1.0, item=AbstractValue(kind="record", of_input=True), of_input=True, value="dataset"
        )
    dataset = it.memory.new("dataset", fraction=1.0, of_input=True)
    in_memory = call.kwargs.get("keep_in_memory")
    if in_memory is not None and in_memory.value:
        return it.memory.make("load-dataset", call.node, "table", 1.0)
    if "data_files" in call.kwargs or "data_dir" in call.kwargs:
        it.memory.report("load-dataset", call.node, "dataset", held=0.0, disk=1.0)
    return dataset


def _frame_method(it: Expressions, call: Call) -> AbstractValue | None:
    fraction = call.owner.fraction
    if call.name in ("tolist", "to_list", "to_pylist"):
        return it.memory.make("tolist", call.node, "records" if call.owner.kind in FRAMES else "documents", fraction)
    if call.name == "to_dict":
        return it.memory.make("list-of-input", call.node, "records", fraction)
    if call.name in ("iterrows", "itertuples", "iter_rows", "to_batches", "iter_slices", "items"):
        return it.memory.new(
            "stream",
            fraction=fraction,
            item=AbstractValue(kind="record", of_input=True),
            of_input=True,
            parts={"of": call.owner},
        )
    if call.name in ("apply", "map", "progress_apply", "map_elements") and call.args:
        item = apply(it, call.node, call.args[0], AbstractValue(kind="document", of_input=True))
        kept = LIST_OF.get(item.kind)
        if kept is None or fraction <= 0:
            return it.memory.new("column", of_input=True)
        return it.memory.make(rule_for(kept), call.node, kept, fraction)
    if call.name in ("column", "__getitem__"):
        return AbstractValue(
            kind="column", fraction=fraction, weight=0.0, of_input=True, parts={"of": call.owner}, born=call.owner.born
        )
    if call.name == "to_pandas":
        return it.memory.make("dataframe", call.node, "frame_parquet", fraction)
    if call.name in ("head", "sample"):
        return it.memory.new(call.owner.kind, of_input=True)
    return call.owner


def _dataset(it: Expressions, call: Call) -> AbstractValue | None:
    stream = call.owner.kind == "stream"
    if call.name in ("to_pandas", "to_polars"):
        return it.memory.make("dataframe", call.node, "frame_parquet", 1.0)
    if call.name in ("to_list", "to_dict"):
        return it.memory.make("list-of-input", call.node, "records", 1.0)
    if call.name == "map" and call.args:
        apply(it, call.node, call.args[0], AbstractValue(kind="record", of_input=True))
        if stream:
            return call.owner
        if call.kwargs.get("keep_in_memory") is not None and call.kwargs["keep_in_memory"].value:
            return it.memory.make("load-dataset", call.node, "table", 1.0)
        return call.owner
    if call.name in ("iter", "batch"):
        return it.memory.new("stream", fraction=1.0, item=AbstractValue(kind="record", of_input=True), of_input=True)
    if call.name == "take":
        return it.memory.new("stream", fraction=0.0, item=AbstractValue(kind="record", of_input=True), of_input=True)
    return (
        call.owner
        if call.name not in ("save_to_disk", "to_json", "to_parquet", "to_csv", "push_to_hub")
        else AbstractValue()
    )


def _parquet(it: Expressions, call: Call) -> AbstractValue | None:
    if call.name == "read":
        return it.memory.make("dataframe", call.node, "table", 1.0, each="many" in call.owner.parts)
    if call.name == "iter_batches":
        return it.memory.new("stream", fraction=1.0, item=AbstractValue(kind="table", of_input=True), of_input=True)
    if call.name in ("read_row_group", "read_row_groups"):
        it.memory.advance(call.owner)
        return it.memory.new("table", of_input=True)
    return AbstractValue()


FUNCTIONS: dict[str, Handler] = {
    "pandas.read_csv": _frame("frame_csv", "chunksize", "iterator", "nrows"),
    "pandas.read_table": _frame("frame_csv", "chunksize", "iterator", "nrows"),
    "pandas.read_json": _frame("frame_json", "chunksize", "nrows"),
    "pandas.read_parquet": _frame("frame_parquet"),
    "pandas.read_feather": _frame("frame_parquet"),
    "polars.read_csv": _frame("frame_csv", "n_rows"),
    "polars.read_parquet": _frame("frame_parquet", "n_rows"),
    "polars.read_ndjson": _frame("frame_json", "n_rows"),
    "polars.read_json": _frame("frame_json"),
    "numpy.loadtxt": _frame("array8", "max_rows"),
    "numpy.genfromtxt": _frame("array8", "max_rows"),
    **dict.fromkeys(
        ("pyarrow.parquet.read_table", "pyarrow.csv.read_csv", "pyarrow.json.read_json", "pyarrow.feather.read_table",
         "parquet.read_table"), _frame("table"),
    ),
    **dict.fromkeys(("pyarrow.parquet.ParquetFile", "parquet.ParquetFile"), _parquet_file),
    "datasets.load_dataset": _load_dataset,
    "datasets.concatenate_datasets": same,
    **dict.fromkeys(
        ("datasets.load_from_disk", "datasets.Dataset.from_generator"),
        lambda it, _: it.memory.new("dataset", fraction=1.0, of_input=True),
    ),
}  # fmt: skip
METHODS: Methods = (
    (frozenset({*FRAMES, "column"}), _frame_method),
    (frozenset({"dataset"}), _dataset),
    (frozenset({"parquet"}), _parquet),
)
