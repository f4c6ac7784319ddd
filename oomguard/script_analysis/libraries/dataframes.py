"""pandas, polars, pyarrow and datasets: tables that are whole in memory, and those that come in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.script_analysis.file_names import is_small_file, path_name
from oomguard.script_analysis.interpreter.calls import ANYWHERE, FRAME_METHODS, FUNCTIONS, LAST_NAMES, methods_of
from oomguard.script_analysis.interpreter.values import FRAMES, LIST_OF, AbstractValue, rule_for
from oomguard.script_analysis.libraries.tokenizers import apply

if TYPE_CHECKING:
    from oomguard.script_analysis.interpreter.calls import Call, Handler
    from oomguard.script_analysis.interpreter.expressions import Expressions


FRAME_METHODS.update(
    ("iterrows", "itertuples", "apply", "map", "to_list", "to_dict", "to_pandas", "to_pylist", "head", "iter_rows",
     "iter_slices", "to_batches", "column", "to_numpy", "tolist", "astype", "sample", "drop_duplicates", "dropna",
     "iloc", "loc", "columns", "shape", "num_rows", "index", "len", "slice", "str", "dt", "sort", "sort_values",
     "sort_by", "merge", "join", "filter", "query", "fillna", "reset_index", "explode", "unique", "groupby", "assign",
     "rename", "copy", "concat", "to_csv", "to_json", "to_parquet", "collect", "drop", "pivot", "melt", "append"),
)  # fmt: skip
# What makes another table of the same rows. pandas 3 copies lazily where it can: rename, drop, reset_index, assign.
_TABLE_COPIES = frozenset(
    ("sort", "sort_values", "sort_index", "sort_by", "drop_duplicates", "unique", "dropna", "drop_nulls", "fillna",
     "filter", "query", "merge", "join", "copy", "astype", "explode", "append", "melt", "pivot", "stack", "replace",
     "take", "shuffle", "combine_chunks", "nlargest"),
)  # fmt: skip
_TEXT_COPIES = frozenset(
    ("lower", "upper", "replace", "strip", "rstrip", "lstrip", "cat", "slice", "title", "normalize", "encode", "decode",
     "replace_all", "to_lowercase", "to_uppercase", "strip_chars", "extract", "get"),
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
        rule = "object-load" if kind == "array8" else "dataframe"
        return it.memory.make(rule, call.node, kind, 1.0, each=each)

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
    it.memory.read_at(call.node)
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


def _put_together(_: Expressions, call: Call) -> AbstractValue:
    """Several datasets as one: on disk, or streamed, as they are."""
    given = call.args[0] if call.args else AbstractValue()
    several = [*given.parts.values(), *([given.item] if given.item is not None else [])]
    return next((one for one in several if one.kind in ("dataset", "stream")), given)


def _frame_method(it: Expressions, call: Call) -> AbstractValue | None:
    fraction = call.owner.fraction
    if call.name in ("tolist", "to_list", "to_pylist"):
        return it.memory.make(
            "column-tolist",
            call.node,
            "records" if call.owner.kind in FRAMES else "documents",
            fraction,
            each=call.owner.each,
        )
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
    if call.owner.value == "str":
        return _column_of_texts(it, call)
    if call.name == "sample" and ("frac" in call.kwargs or "fraction" in call.kwargs):
        part = call.kwargs.get("frac") or call.kwargs.get("fraction") or AbstractValue()
        taken = min(1.0, float(part.value)) if isinstance(part.value, (int, float)) else 1.0
        return _copied(it, call, share=taken)
    if call.name in ("head", "tail", "sample", "limit", "groupby", "describe", "value_counts"):
        return it.memory.new(call.owner.kind, of_input=True)
    if call.name == "to_excel" and it.memory.loops and not (call.args and call.args[0].kind == "text"):
        it.memory.cannot_see(call.node, "a workbook stays in memory until it is closed")
    if call.name in ("to_csv", "to_json", "to_parquet", "write_csv", "write_parquet", "write_ndjson", "to_pickle"):
        return AbstractValue(kind="none")
    if call.name in ("len", "sum", "mean", "max", "min", "count", "nunique", "isna", "notna", "any", "all", "isin"):
        return it.memory.new("column", of_input=True)
    if call.name in _TABLE_COPIES and fraction > 0 and call.owner.kind in FRAMES:
        return _copied(it, call)
    return call.owner


def _copied(it: Expressions, call: Call, *, share: float = 1.0) -> AbstractValue:
    """Another table of the same rows, beside the first."""
    owner = call.owner
    if owner.kind not in FRAMES or owner.fraction <= 0:
        return it.memory.new(owner.kind, of_input=True)
    with it.memory.keeping([owner]):
        return it.memory.make("copy", call.node, owner.kind, share * owner.fraction, each=owner.each)


def _column_of_texts(it: Expressions, call: Call) -> AbstractValue:
    """`df["text"].str.split()`: Python objects for all of a column."""
    fraction, each = call.owner.fraction, call.owner.each
    if fraction <= 0:
        return it.memory.new("column", of_input=True)
    if call.name in ("split", "findall", "rsplit", "extractall", "partition"):
        return it.memory.make("list-of-input", call.node, "words", fraction, each=each)
    if call.name in _TEXT_COPIES:
        return it.memory.make("copy", call.node, "documents", fraction, each=each)
    return it.memory.new("column", of_input=True)


def _make_frame(it: Expressions, call: Call) -> AbstractValue:
    """A table of what is there already: its texts are shared, its numbers are not."""
    given = call.args[0] if call.args else call.kwargs.get("data", AbstractValue())
    parts = [given, *given.parts.values(), *([given.item] if given.item is not None else [])]
    largest = max(parts, key=lambda one: (one.fraction, one.of_input))
    if largest.fraction > 0 and largest.kind not in ("paths", "stream"):
        return it.memory.new("frame_csv", fraction=largest.fraction, of_input=True, weight=0.2, each=largest.each,
                             parts={"of": largest}, line=call.node.lineno)  # fmt: skip
    return it.memory.new("frame_csv", of_input=largest.of_input)


def _merged(it: Expressions, call: Call) -> AbstractValue:
    """pd.merge: the rows of both, many times over where a key stands in both more than once."""
    largest = max(call.args, key=lambda one: one.fraction, default=AbstractValue())
    if largest.fraction <= 0:
        return it.memory.new("frame_csv", of_input=True)
    return it.memory.make("copy", call.node, "frame_csv", largest.fraction)


def _from_objects(it: Expressions, call: Call) -> AbstractValue:
    """Dataset.from_list, from_dict, pa.table, Table.from_pylist: the same once more, as Arrow."""
    given = call.args[0] if call.args else AbstractValue()
    largest = max([given, *given.parts.values()], key=lambda one: one.fraction)
    if largest.fraction > 0 and largest.kind not in ("paths", "stream", "generator"):
        return it.memory.make("copy", call.node, "table", largest.fraction, each=largest.each)
    return it.memory.new("table", of_input=largest.of_input)


def _scan(it: Expressions, _: Call) -> AbstractValue:
    """A lazy table: nothing is read before `collect`, and little by the sinks."""
    return it.memory.new("lazy", fraction=1.0, of_input=True)


def _streamed(it: Expressions, call: Call) -> AbstractValue:
    """webdataset, tf.data: one sample after the other."""
    it.memory.read_at(call.node)
    item = AbstractValue(kind="record", of_input=True)
    return it.memory.new("stream", fraction=1.0, of_input=True, item=item, value="samples")


def _cached(it: Expressions, call: Call) -> AbstractValue | None:
    """`ds.cache()` of tf.data: in memory, unless it is given a file."""
    if call.owner.value != "samples" or call.owner.kind != "stream":
        return None
    return call.owner if call.args else it.memory.make("list-of-input", call.node, "documents", call.owner.fraction)


_MOST_SHUFFLED = 100_000  # samples that a buffer may have before it is told


def _shuffled(it: Expressions, call: Call) -> AbstractValue | None:
    """`ds.shuffle(n)` keeps n samples."""
    if call.owner.value != "samples" or call.owner.kind != "stream":
        return None
    size = call.kwargs.get("buffer_size") or (call.args[0] if call.args else AbstractValue(value=1))
    if not isinstance(size.value, int) or size.value > _MOST_SHUFFLED:
        it.memory.cannot_see(
            call.node, "keeps as many samples as it is told to; how large they are cannot be seen here"
        )
    return call.owner


def _spark(it: Expressions, call: Call) -> AbstractValue:
    """SparkSession and SparkContext: what they read stays in Spark until it is collected."""
    reads = ("text", "csv", "json", "parquet", "orc", "load", "table", "sql", "textFile", "wholeTextFiles", "jdbc",
             "parallelize", "sequenceFile")  # fmt: skip
    return _scan(it, call) if call.name in reads else call.owner


def _make_spark(it: Expressions, _: Call) -> AbstractValue:
    return it.memory.new("spark")


# What a lazy table gives: a few rows, all of them in pieces, or all at once.
_A_FEW = frozenset(
    ("fetchone", "fetchmany", "take", "first", "show", "top", "takeOrdered", "explain", "printSchema"),
)  # fmt: skip
_BY_AND_BY = frozenset(
    ("toLocalIterator", "to_local_iterator", "to_batches", "iter_batches", "iter_rows", "iter_torch_batches",
     "fetch_record_batch", "collect_batches"),
)  # fmt: skip
_ALL_OF_IT = frozenset(
    ("collect", "compute", "persist", "fetchall", "fetchdf", "fetchnumpy", "fetch_arrow_table", "df", "to_df", "arrow",
     "pl", "to_pandas", "toPandas", "to_table", "to_list", "to_numpy", "to_arrow", "read_all", "take_all",
     "collect_list", "collectAsMap"),
)  # fmt: skip


def _lazy(it: Expressions, call: Call) -> AbstractValue | None:
    if call.name in _A_FEW:
        return it.memory.new("record", of_input=True)
    if call.name in _BY_AND_BY:
        it.memory.read_at(call.node)
        item = AbstractValue(kind="record", of_input=True)
        return it.memory.new("stream", fraction=1.0, of_input=True, item=item)
    if call.name in _ALL_OF_IT:
        it.memory.read_at(call.node)
        return it.memory.make("dataframe", call.node, "frame_parquet", 1.0)
    if call.name.startswith(("sink_", "to_", "write_")):
        it.memory.read_at(call.node)
        return AbstractValue()
    if call.name in ("head", "limit", "describe", "len", "sum", "count"):
        return AbstractValue()
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
        it.memory.read_at(call.node)
        return it.memory.new("table", of_input=True)
    return AbstractValue()


FUNCTIONS.update({
    **dict.fromkeys(("pandas.DataFrame", "polars.DataFrame", "pandas.Series", "pandas.DataFrame.from_dict",
                     "pandas.DataFrame.from_records", "pandas.json_normalize"), _make_frame),
    **dict.fromkeys(("pandas.merge",), _merged),
    **dict.fromkeys(("datasets.Dataset.from_list", "datasets.Dataset.from_dict", "datasets.Dataset.from_pandas",
                     "Dataset.from_list", "Dataset.from_dict", "Dataset.from_pandas", "pyarrow.table",
                     "pyarrow.Table.from_pylist", "pyarrow.Table.from_pydict", "pyarrow.Table.from_pandas",
                     "pyarrow.array", "pyarrow.RecordBatch.from_pylist"), _from_objects),
    **dict.fromkeys(("polars.scan_csv", "polars.scan_parquet", "polars.scan_ndjson", "dask.dataframe.read_csv",
                     "dask.dataframe.read_parquet", "dask.dataframe.read_json", "dask.bag.read_text",
                     "ray.data.read_text", "ray.data.read_json", "ray.data.read_csv", "ray.data.read_parquet",
                     "data.read_text", "data.read_json", "data.read_csv", "data.read_parquet",
                     "pyarrow.dataset.dataset", "dataset.dataset", "pyarrow.csv.open_csv",
                     "duckdb.sql", "duckdb.query", "duckdb.read_csv", "duckdb.read_parquet"), _scan),
    **dict.fromkeys(
        ("pandas.read_excel", "pandas.read_sql", "pandas.read_sql_query", "pandas.read_xml", "pandas.read_html",
         "pandas.read_fwf", "pandas.read_orc", "pandas.read_hdf", "pandas.read_sas", "pandas.read_stata",
         "polars.read_excel", "polars.read_avro", "polars.read_ipc", "polars.read_database"),
        _frame("frame_csv", "chunksize", "iterator", "nrows"),
    ),
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
    **dict.fromkeys(("webdataset.WebDataset", "tensorflow.data.TextLineDataset", "tensorflow.data.TFRecordDataset",
                     "data.TextLineDataset", "data.TFRecordDataset", "wds.WebDataset"), _streamed),
    **dict.fromkeys(("pyspark.SparkContext", "SparkContext.getOrCreate"), _make_spark),
    **dict.fromkeys(("datasets.concatenate_datasets", "datasets.interleave_datasets"), _put_together),
    **dict.fromkeys(
        ("datasets.load_from_disk", "datasets.Dataset.from_generator"),
        lambda it, _: it.memory.new("dataset", fraction=1.0, of_input=True),
    ),
})  # fmt: skip
methods_of({*FRAMES, "column"}, _frame_method)
methods_of({"dataset"}, _dataset)
methods_of({"lazy"}, _lazy)
methods_of({"spark"}, _spark)
ANYWHERE.update({"cache": _cached, "shuffle": _shuffled, "getOrCreate": _make_spark})
LAST_NAMES.update({"getOrCreate": _make_spark})
methods_of({"parquet"}, _parquet)
