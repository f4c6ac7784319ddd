"""Python's own functions: what they keep, and what they let pass by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.values import LIST_OF, LISTS, POINTER, Thing, text_source
from oomguard.script_analysis.libraries.tokenizers import apply

if TYPE_CHECKING:
    from oomguard.script_analysis.interpreter.calls import Call, Handler
    from oomguard.script_analysis.interpreter.expressions import Expressions


_MOST = 1e15  # a larger number is no size
_NUMBERS = ("int", "float", "round", "sum", "min", "max", "any", "all", "ord", "hash", "abs")


def make_list(it: Expressions, call: Call) -> Thing:
    """list(), tuple(), sorted(): all that passes by is kept."""
    if not call.args:
        return it.ledger.new("list")
    source = it.iterated(call.args[0])
    if source.sort in ("file", "stream"):
        it.ledger.went_on(source) if source.share == 0 and source.value == "islice" else None
    if source.share <= 0:
        item = source.one()
        return it.ledger.new("list", item=item if item.of_input else None, of_input=source.of_input)
    if source.sort == "paths":
        return source
    sort = LIST_OF.get(source.one().sort)
    if source.sort in (*LISTS, "json", "list", "column") and source.share > 0:
        # The objects are there already; a list of them is new.
        return it.ledger.new(
            sort or source.sort, share=source.share, weight=POINTER, of_input=True, parts={"of": source}
        )
    if sort is None:
        return it.ledger.new("list")
    return it.ledger.make("list-of-input", call.node, sort, source.share)


def _make_set(it: Expressions, call: Call) -> Thing:
    source = it.iterated(call.args[0]) if call.args else None
    if source is None or source.share <= 0 or source.one().sort not in ("line", "document", "record"):
        return it.ledger.new("set")
    return make_list(it, call)


def _make_dict(it: Expressions, _: Call) -> Thing:
    return it.ledger.new("dict")


def _deque(it: Expressions, call: Call) -> Thing:
    if "maxlen" in call.kwargs or len(call.args) > 1:
        return it.ledger.new("bounded")
    return make_list(it, call)


def _length(_: Expressions, call: Call) -> Thing:
    thing = call.args[0] if call.args else Thing()
    return Thing(sort="number", fraction=thing.share or None)


def _number(_: Expressions, call: Call) -> Thing:
    number = call.args[0] if call.args and call.args[0].sort == "number" else Thing(sort="number")
    if isinstance(number.value, float) and abs(number.value) < _MOST and text_source(call.node.func) == "int":
        return Thing(sort="number", value=int(number.value))
    return number


def _enumerate(it: Expressions, call: Call) -> Thing:
    """Enumerate and zip: the same share passes by, in tuples."""
    several = [it.iterated(argument) for argument in call.args if argument.sort != "number"]
    name = text_source(call.node.func)
    items = [source.one() for source in several]
    numbered = [Thing(sort="number"), *items] if name == "enumerate" else items
    pair = Thing(sort="tuple", parts={str(number): item for number, item in enumerate(numbered)})
    pair.of_input = any(item.of_input for item in items)
    share = max((source.share for source in several), default=0.0)
    kept = {str(number): source for number, source in enumerate(several)}
    return it.ledger.new("stream", share=share, item=pair, of_input=pair.of_input, parts=kept)


def _passed_by(it: Expressions, call: Call) -> Thing:
    return it.iterated(call.args[0]) if call.args else Thing()


def _map(it: Expressions, call: Call) -> Thing:
    if len(call.args) < 2:
        return Thing()
    source = it.iterated(call.args[1])
    item = apply(it, call.node, call.args[0], source.one())
    return it.ledger.new("stream", share=source.share, item=item, of_input=item.of_input, parts={"of": source})


def _filter(it: Expressions, call: Call) -> Thing:
    return it.iterated(call.args[1]) if len(call.args) > 1 else Thing()


def _iter(it: Expressions, call: Call) -> Thing:
    if len(call.args) == 2 and call.args[0].sort == "function":  # iter(lambda: file.read(n), b"")
        with it.ledger.loop(0.0) as loop:
            piece = it.call_function(call.args[0], [], {})
        return it.ledger.new("stream", share=loop.share, item=piece, of_input=True)
    return it.iterated(call.args[0]) if call.args else Thing()


def _next(it: Expressions, call: Call) -> Thing:
    source = it.iterated(call.args[0]) if call.args else Thing()
    if source.share > 0:
        it.ledger.went_on(call.args[0])
    return source.one()


def _islice(it: Expressions, call: Call) -> Thing:
    source = it.iterated(call.args[0]) if call.args else Thing()
    if source.share > 0:
        it.ledger.went_on(call.args[0])
    if (
        len(call.args) > 2 and call.args[-1].value is None and call.args[-1].sort == "none"
    ):  # islice(f, 10, None) goes on to the end
        return source
    return it.ledger.new("stream", share=0.0, item=source.one(), of_input=True, value="islice")


def _batched(it: Expressions, call: Call) -> Thing:
    source = it.iterated(call.args[0]) if call.args else Thing()
    item = source.one()
    several = Thing(sort=LIST_OF.get(item.sort, "list"), of_input=True, item=item)
    return it.ledger.new("stream", share=source.share, item=several, of_input=True)


def _chain(it: Expressions, call: Call) -> Thing:
    several = [it.iterated(argument) for argument in call.args]
    source = it.largest(several)
    if source.one().sort == "tokens" or text_source(call.node.func).endswith("from_iterable"):
        item = source.one().one()
        return it.ledger.new("stream", share=source.share, item=item, of_input=True, parts={"of": source})
    return it.ledger.new("stream", share=source.share, item=source.one(), of_input=True, parts={"of": source})


def _buffer(sort: str) -> Handler:
    def make(it: Expressions, call: Call) -> Thing:
        given = call.args[0] if call.args else Thing()
        if given.share > 0 and sort != "compact":
            made = "text" if sort == "textbuffer" else "bytes"
            return it.ledger.make("copy", call.node, made, given.share, way="joined" if made == "text" else "")
        return it.ledger.new(sort)

    return make


def same(_: Expressions, call: Call) -> Thing:
    """Give what it is given."""
    return call.args[0] if call.args else Thing()


FUNCTIONS: dict[str, Handler] = {
    **dict.fromkeys(("builtins.list", "builtins.tuple", "builtins.sorted"), make_list),
    **dict.fromkeys(("builtins.set", "builtins.frozenset"), _make_set),
    **dict.fromkeys(
        ("builtins.dict", "collections.defaultdict", "collections.OrderedDict", "collections.Counter"), _make_dict
    ),
    **dict.fromkeys((f"builtins.{name}" for name in _NUMBERS), _number),
    **dict.fromkeys(("math.ceil", "math.floor"), _number),
    **dict.fromkeys(("builtins.enumerate", "builtins.zip", "itertools.zip_longest", "itertools.tee"), _enumerate),
    **dict.fromkeys(("builtins.map", "itertools.starmap"), _map),
    **dict.fromkeys(
        ("builtins.filter", "itertools.filterfalse", "itertools.takewhile", "itertools.dropwhile"), _filter
    ),
    **dict.fromkeys(
        ("itertools.batched", "more_itertools.chunked", "more_itertools.batched", "more_itertools.ichunked"), _batched
    ),
    **dict.fromkeys(("itertools.chain", "itertools.chain.from_iterable"), _chain),
    **dict.fromkeys(("builtins.str", "builtins.bytes", "io.TextIOWrapper", "io.BufferedReader", "os.fspath"), same),
    **dict.fromkeys(("builtins.reversed", "rich.progress.track"), _passed_by),
    "collections.deque": _deque,
    "builtins.len": _length,
    "builtins.iter": _iter,
    "builtins.next": _next,
    "itertools.islice": _islice,
    "builtins.range": lambda *_: Thing(sort="range"),
    "builtins.print": lambda *_: Thing(),
    "builtins.isinstance": lambda *_: Thing(),
    "builtins.bytearray": _buffer("bytes"),
    "io.StringIO": _buffer("textbuffer"),
    "io.BytesIO": _buffer("bytebuffer"),
    "array.array": _buffer("compact"),
    "random.sample": lambda it, _: it.ledger.new("list"),
}
LAST_NAMES: dict[str, Handler] = {"tqdm": _passed_by, "trange": lambda *_: Thing(sort="range")}
