"""Python's own functions: what they keep, and what they let pass by."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.calls import ANYWHERE, FUNCTIONS
from oomguard.script_analysis.interpreter.findings import PAIR_BYTES
from oomguard.script_analysis.interpreter.values import (
    LIST_OF,
    LISTS,
    OCTETS,
    POINTER,
    AbstractValue,
    text_source,
)

if TYPE_CHECKING:
    from oomguard.script_analysis.interpreter.calls import Call, Handler
    from oomguard.script_analysis.interpreter.expressions import Expressions


_MANY = 1_000_000  # items of a deque: more is as if there were no limit
_MOST = 1e15  # a larger number is no size
_NUMBERS = ("int", "float", "round", "sum", "min", "max", "any", "all", "ord", "hash", "abs")


def make_list(it: Expressions, call: Call) -> AbstractValue:
    """list(), tuple(), sorted(): all that passes by is kept."""
    if not call.args:
        return it.memory.new("list")
    source = it.iterated(call.args[0])
    if source.kind in ("file", "stream"):
        it.memory.advance(source) if source.fraction == 0 and source.value == "islice" else None
    if source.fraction <= 0 and source.kind == "words" and text_source(call.node.func) == "tuple":
        return it.memory.new("tuple", of_input=source.of_input, parts={"0": source.one()})
    if source.kind in OCTETS and source.of_input and source.fraction <= 0:
        return it.memory.new("octets", of_input=True)
    if source.fraction <= 0:
        item = source.one()
        return it.memory.new("list", item=item if item.of_input else None, of_input=source.of_input)
    if source.kind == "paths":
        return source
    if source.paired:
        return _all_pairs(it, call, source)
    kind = "octets" if source.kind in OCTETS else LIST_OF.get(source.one().kind)
    if source.kind == "stored":
        return it.memory.make("list-of-input", call.node, "tokens" if source.value else "documents", source.fraction)
    if source.kind in (*LISTS, "json", "list", "column") and source.fraction > 0:
        # The objects are there already; a list of them is new.
        return it.memory.new(
            kind or source.kind, fraction=source.fraction, weight=POINTER, of_input=True, parts={"of": source}
        )
    if kind is None:
        return it.memory.keep_all(call.node, source)
    it.memory.read_at(call.node)
    return it.memory.make("list-of-input", call.node, kind, source.fraction, each=source.each)


def _all_pairs(it: Expressions, call: Call, source: AbstractValue) -> AbstractValue:
    """Keep what list(combinations(documents, 2)) makes."""
    it.memory.report("all-by-all", call.node, "pairs", held=0.0, squared=PAIR_BYTES, each=source.each)
    return it.memory.new("list", of_input=True, item=source.one())


def _make_set(it: Expressions, call: Call) -> AbstractValue:
    source = it.iterated(call.args[0]) if call.args else AbstractValue()
    if source.fraction > 0 and (source.paired or source.one().kind in ("line", "document", "record")):
        return make_list(it, call)
    if source.fraction > 0 and source.kind != "paths":
        return it.memory.keep_all(call.node, source, "set", "growing-table")
    made = it.memory.new("set", of_input=source.one().of_input)
    made.item = source.one() if made.of_input else None
    return made


def _make_dict(it: Expressions, call: Call) -> AbstractValue:
    source = it.iterated(call.args[0]) if call.args else AbstractValue()
    if source.fraction > 0 and source.kind != "paths":
        return it.memory.keep_all(call.node, source, "dict", "growing-table")
    return it.memory.new("dict")


def _from_keys(it: Expressions, call: Call) -> AbstractValue:
    """dict.fromkeys(lines): an entry for each that is different."""
    source = it.iterated(call.args[0]) if call.args else AbstractValue()
    if source.fraction > 0 and source.kind != "paths":
        return it.memory.keep_all(call.node, source, "dict", "growing-table")
    return it.memory.new("dict", of_input=source.of_input)


def _opened_argument(it: Expressions, call: Call) -> AbstractValue:
    """argparse.FileType, click.File: what is given for the flag, opened."""
    mode = call.args[0].value if call.args else None
    if isinstance(mode, str) and any(letter in mode for letter in "wax"):
        return AbstractValue(kind="output")
    value = "binary" if isinstance(mode, str) and "b" in mode else "text"
    return it.memory.new("file", value=value, item=AbstractValue(kind="line", of_input=True))


def _push(it: Expressions, call: Call) -> AbstractValue:
    """heapq.heappush(heap, item), bisect.insort(list, item)."""
    if len(call.args) > 1:
        it.memory.grow(call.args[0], call.args[1], call.node, spread=False)
    return AbstractValue()


def _pop(it: Expressions, call: Call) -> AbstractValue:
    """heapq.heappop(heap): as many go as come."""
    heap = call.args[0] if call.args else AbstractValue()
    it.memory.flush(heap)
    return heap.one()


def _set_item(it: Expressions, call: Call) -> AbstractValue:
    """operator.setitem(holder, key, value)."""
    for one in call.args[1:]:
        if one.of_input or one.fraction > 0:
            it.memory.grow(call.args[0], one, call.node, spread=False)
    return AbstractValue()


def _print(it: Expressions, call: Call) -> AbstractValue:
    """print(..., file=buffer), json.dump(all, buffer): what is written into memory stays there."""
    file = call.kwargs.get("file") or (call.args[1] if len(call.args) > 1 else AbstractValue())
    if file.kind in ("textbuffer", "bytebuffer", "text", "bytes") and call.args and not file.is_constant:
        it.memory.grow(file, call.args[0], call.node, spread=True)
    return AbstractValue()


def _writer(_: Expressions, call: Call) -> AbstractValue:
    """csv.writer(file): a file in memory stays one."""
    file = call.args[0] if call.args else AbstractValue()
    return file if file.kind in ("textbuffer", "bytebuffer", "text") else AbstractValue(kind="output")


def _all_lines(it: Expressions, call: Call) -> AbstractValue:
    return it.memory.make("readlines", call.node, "lines", 1.0)


def _input(it: Expressions, call: Call) -> AbstractValue:
    """A line of standard input."""
    it.memory.advance(AbstractValue(), lines=True)
    it.memory.read_at(call.node)
    return it.memory.new("line", of_input=True)


def _namespace(it: Expressions, call: Call) -> AbstractValue:
    return it.memory.new("object", parts={**call.kwargs, "class": AbstractValue(kind="class")})


def _field(it: Expressions, call: Call) -> AbstractValue:
    """dataclasses.field: what its factory makes."""
    factory = call.kwargs.get("default_factory")
    if factory is None:
        return call.kwargs.get("default", AbstractValue())
    return it.call(call.node, factory, [], {})


def _make_counter(it: Expressions, call: Call) -> AbstractValue:
    made = it.memory.new("counter")
    if call.args:
        it.memory.grow(made, it.iterated(call.args[0]), call.node, spread=True)
    return made


def _partial(it: Expressions, call: Call) -> AbstractValue:
    """functools.partial: the function, with these to begin with."""
    if not call.args:
        return AbstractValue()
    first = {"function": call.args[0]} | {str(number): one for number, one in enumerate(call.args[1:])}
    return it.memory.new("partial", parts=first, value=call.kwargs)


def _run_code(it: Expressions, call: Call) -> AbstractValue:
    it.memory.cannot_see(call.node, "runs code that is not in this script")
    return AbstractValue()


def _by_name(it: Expressions, call: Call) -> AbstractValue:
    """`getattr(object, name)`: a value, or a function that nobody can tell."""
    owner, name = call.args[0] if call.args else AbstractValue(), call.args[1].value if len(call.args) > 1 else None
    if isinstance(name, str) and name.isidentifier():
        found = it.evaluate(ast.Attribute(value=call.node.args[0], attr=name, ctx=ast.Load()))
        if found.kind != "unknown":
            return found
    return it.memory.new("unknown", of_input=owner.of_input, origin="getattr")


def _digest(it: Expressions, _: Call) -> AbstractValue:
    return it.memory.new("digest", of_input=True)


def _deque(it: Expressions, call: Call) -> AbstractValue:
    most = call.kwargs.get("maxlen") or (call.args[1] if len(call.args) > 1 else None)
    if most is not None and most.kind != "none" and not (isinstance(most.value, int) and most.value > _MANY):
        return it.memory.new("bounded")
    return make_list(it, call)


def _length(_: Expressions, call: Call) -> AbstractValue:
    abstract = call.args[0] if call.args else AbstractValue()
    return AbstractValue(kind="number", of_length=abstract.fraction or None, inner=abstract)


def _sum(it: Expressions, call: Call) -> AbstractValue:
    """sum(lists, []) is a list of all that is in them."""
    start = call.args[1] if len(call.args) > 1 else call.kwargs.get("start", AbstractValue())
    source = it.iterated(call.args[0]) if call.args else AbstractValue()
    if start.kind in ("list", "tuple", "text") and source.fraction > 0:
        parts = it.memory.new("stream", fraction=source.fraction, item=source.one().one(), of_input=True)
        return it.memory.keep_all(call.node, parts)
    return _number(it, call)


def _set_attribute(it: Expressions, call: Call) -> AbstractValue:
    """setattr(object, name, value): in a loop, as many attributes as there are names."""
    named = len(call.args) > 2 and not isinstance(call.args[1].value, str)
    if named and it.memory.loops and call.args[2].of_input:
        it.memory.cannot_see(call.node, "keeps an attribute for each different name")
    elif len(call.args) > 2 and not named:
        call.args[0].parts[call.args[1].value] = call.args[2]
    return AbstractValue()


def _names(it: Expressions, _: Call) -> AbstractValue:
    """globals(): a dict that was there before any loop."""
    return it.module.setdefault("globals()", AbstractValue(kind="dict"))


def _number(_: Expressions, call: Call) -> AbstractValue:
    number = call.args[0] if call.args and call.args[0].kind == "number" else AbstractValue(kind="number")
    if isinstance(number.value, float) and abs(number.value) < _MOST and text_source(call.node.func) == "int":
        return AbstractValue(kind="number", value=int(number.value))
    return number


def _buffer(kind: str) -> Handler:
    def make(it: Expressions, call: Call) -> AbstractValue:
        given = call.args[0] if call.args else AbstractValue()
        if given.fraction > 0 and kind != "compact":
            made = "text" if kind == "textbuffer" else "bytes"
            return it.memory.make(
                "copy", call.node, made, given.fraction, representation="joined" if made == "text" else ""
            )
        held = call.args[1] if kind == "compact" and len(call.args) > 1 else given
        if not held.of_input or held.fraction > 0:
            return it.memory.new(kind)
        held = AbstractValue(kind="array2", of_input=True) if kind == "compact" and held.kind == "tokens" else held
        return it.memory.new(kind, item=held, of_input=True)

    return make


def _bytes(it: Expressions, call: Call) -> AbstractValue:
    """bytes(mapped), bytearray(text): a copy of what is given."""
    given = call.args[0] if call.args else AbstractValue()
    if given.of_length:  # bytearray(os.path.getsize(path))
        return it.memory.make("growing-array", call.node, "bytes", min(1.0, given.of_length))
    if given.kind in ("mapped", "stored"):
        return it.memory.make("copy", call.node, "bytes", given.fraction, each=given.each)
    return _buffer("bytes")(it, call) or given if text_source(call.node.func) == "bytearray" else given


def same(_: Expressions, call: Call) -> AbstractValue:
    """Give what it is given."""
    return call.args[0] if call.args else AbstractValue()


def _first_argument(_: Expressions, call: Call) -> AbstractValue | None:
    return call.args[0] if call.args else None


def _type(_: Expressions, call: Call) -> AbstractValue:
    given = call.args[0] if call.args else AbstractValue()
    return given.parts.get("class", AbstractValue())


def _error(it: Expressions, _: Call) -> AbstractValue:
    """The error that is handled, or its traceback as text."""
    return it.memory.new("exception", of_input=True, item=AbstractValue(kind="number", of_input=True))


FUNCTIONS.update(
    {
        **dict.fromkeys(
            (
                "sys.exc_info",
                "sys.exception",
                "traceback.format_exc",
                "traceback.format_exception",
                "traceback.TracebackException",
            ),
            _error,
        ),
        **dict.fromkeys(("builtins.list", "builtins.tuple", "builtins.sorted"), make_list),
        **dict.fromkeys(("builtins.set", "builtins.frozenset"), _make_set),
        **dict.fromkeys(
            ("builtins.dict", "collections.defaultdict", "collections.OrderedDict", "collections.ChainMap"), _make_dict
        ),
        "collections.Counter": _make_counter,
        **dict.fromkeys(("dict.fromkeys", "OrderedDict.fromkeys", "Counter.fromkeys"), _from_keys),
        **dict.fromkeys(("argparse.FileType", "click.File", "types.File"), _opened_argument),
        **dict.fromkeys((f"builtins.{name}" for name in _NUMBERS), _number),
        **dict.fromkeys(("math.ceil", "math.floor"), _number),
        "builtins.sum": _sum,
        "builtins.setattr": _set_attribute,
        **dict.fromkeys(("builtins.globals", "builtins.vars", "builtins.locals"), _names),
        **dict.fromkeys(("builtins.bytes", "builtins.bytearray"), _bytes),
        **dict.fromkeys(("contextlib.closing", "contextlib.nullcontext", "contextlib.aclosing"), same),
        "codecs.getreader": lambda *_: AbstractValue(
            kind="partial", parts={"function": AbstractValue(kind="module", value="io.TextIOWrapper")}, value={}
        ),
        "codecs.iterdecode": lambda it, call: it.iterated(call.args[0]) if call.args else AbstractValue(),
        **dict.fromkeys(
            ("builtins.str", "builtins.memoryview", "sys.intern", "io.TextIOWrapper", "io.BufferedReader", "os.fspath"),
            same,
        ),
        "collections.deque": _deque,
        "builtins.len": _length,
        "builtins.input": _input,
        **dict.fromkeys(("heapq.heappush", "bisect.insort", "bisect.insort_left", "bisect.insort_right"), _push),
        "heapq.heappop": _pop,
        "operator.setitem": _set_item,
        "struct.pack": lambda *_: AbstractValue(kind="bytes", of_input=True),
        **dict.fromkeys(("linecache.getlines", "linecache.getline"), _all_lines),
        "builtins.print": _print,
        **dict.fromkeys(("json.dump", "pickle.dump", "numpy.save", "yaml.dump", "yaml.safe_dump"), _print),
        **dict.fromkeys(("csv.writer", "csv.DictWriter"), _writer),
        **dict.fromkeys(("types.SimpleNamespace", "argparse.Namespace"), _namespace),
        "dataclasses.field": _field,
        "functools.partial": _partial,
        **dict.fromkeys(("builtins.exec", "runpy.run_path", "runpy.run_module"), _run_code),
        "builtins.getattr": _by_name,
        "importlib.import_module": lambda *_: AbstractValue(kind="module", value="a module imported by name"),
        "builtins.isinstance": lambda *_: AbstractValue(),
        "builtins.type": _type,
        "io.StringIO": _buffer("textbuffer"),
        "io.BytesIO": _buffer("bytebuffer"),
        "array.array": _buffer("compact"),
        "random.sample": lambda it, _: it.memory.new("list"),
    }
)
ANYWHERE.update(
    {
        **dict.fromkeys(("stream_reader", "enter_context", "enter_async_context"), _first_argument),
        **dict.fromkeys(("hexdigest", "digest", "intdigest"), _digest),
    }
)
