"""Python's own functions: what they keep, and what they let pass by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.values import LIST_OF, LISTS, POINTER, TEXTS, AbstractValue, text_source
from oomguard.script_analysis.libraries.tokenizers import apply

if TYPE_CHECKING:
    from oomguard.script_analysis.interpreter.calls import Call, Handler
    from oomguard.script_analysis.interpreter.expressions import Expressions


_MOST = 1e15  # a larger number is no size
_NUMBERS = ("int", "float", "round", "sum", "min", "max", "any", "all", "ord", "hash", "abs")


def make_list(it: Expressions, call: Call) -> AbstractValue:
    """list(), tuple(), sorted(): all that passes by is kept."""
    if not call.args:
        return it.memory.new("list")
    source = it.iterated(call.args[0])
    if source.kind in ("file", "stream"):
        it.memory.advance(source) if source.fraction == 0 and source.value == "islice" else None
    if source.fraction <= 0:
        item = source.one()
        return it.memory.new("list", item=item if item.of_input else None, of_input=source.of_input)
    if source.kind == "paths":
        return source
    kind = LIST_OF.get(source.one().kind)
    if source.kind in (*LISTS, "json", "list", "column") and source.fraction > 0:
        # The objects are there already; a list of them is new.
        return it.memory.new(
            kind or source.kind, fraction=source.fraction, weight=POINTER, of_input=True, parts={"of": source}
        )
    if kind is None:
        return it.memory.new("list")
    it.memory.read_at(call.node)
    return it.memory.make("list-of-input", call.node, kind, source.fraction, each=source.each)


def _make_set(it: Expressions, call: Call) -> AbstractValue:
    source = it.iterated(call.args[0]) if call.args else None
    if source is None or source.fraction <= 0 or source.one().kind not in ("line", "document", "record"):
        return it.memory.new("set")
    return make_list(it, call)


def _make_dict(it: Expressions, _: Call) -> AbstractValue:
    return it.memory.new("dict")


def _make_counter(it: Expressions, call: Call) -> AbstractValue:
    made = it.memory.new("counter")
    if call.args:
        it.memory.grow(made, it.iterated(call.args[0]), call.node, spread=True)
    return made


def _tee(it: Expressions, call: Call) -> AbstractValue:
    """Two ways through one source: what the one has taken and the other has not yet is kept."""
    source = it.iterated(call.args[0]) if call.args else AbstractValue()
    way = it.memory.new("tee", value=call.node, of_input=source.of_input, parts={"source": source})
    return it.memory.new("tuple", parts={"0": way, "1": way, "2": way})


def _find_all(it: Expressions, call: Call) -> AbstractValue:
    """re.findall and re.split, of a module or of a pattern: a list of all that is found."""
    text = call.args[-1] if len(call.args) == 1 else call.args[1] if len(call.args) > 1 else AbstractValue()
    if text.fraction > 0 and text.kind != "paths":
        return it.memory.make("list-of-input", call.node, "words", text.fraction, each=text.each)
    return it.memory.new("words", of_input=text.of_input)


def _find_each(it: Expressions, call: Call) -> AbstractValue:
    text = call.args[-1] if call.args else AbstractValue()
    item = AbstractValue(kind="word", of_input=text.of_input)
    return it.memory.new("stream", fraction=text.fraction, item=item, of_input=text.of_input, parts={"of": text})


def _substitute(it: Expressions, call: Call) -> AbstractValue:
    """re.sub: another text."""
    text = max(call.args, key=lambda one: (one.fraction, one.of_input), default=AbstractValue())
    if text.fraction > 0 and text.kind in TEXTS:
        return it.memory.make("copy", call.node, "text", text.fraction, representation="joined", each=text.each)
    return it.memory.new("document", of_input=text.of_input)


def _partial(it: Expressions, call: Call) -> AbstractValue:
    """functools.partial: the function, with these to begin with."""
    if not call.args:
        return AbstractValue()
    first = {"function": call.args[0]} | {str(number): one for number, one in enumerate(call.args[1:])}
    return it.memory.new("partial", parts=first, value=call.kwargs)


def _range(it: Expressions, call: Call) -> AbstractValue:
    """`range(len(all))` goes over all."""
    lengths = [one.of_length for one in call.args[:2] if one.of_length]
    return it.memory.new("range", fraction=min(1.0, max(lengths, default=0.0)), item=AbstractValue(kind="number"))


def _digest(it: Expressions, _: Call) -> AbstractValue:
    return it.memory.new("digest", of_input=True)


def _deque(it: Expressions, call: Call) -> AbstractValue:
    if "maxlen" in call.kwargs or len(call.args) > 1:
        return it.memory.new("bounded")
    return make_list(it, call)


def _length(_: Expressions, call: Call) -> AbstractValue:
    abstract = call.args[0] if call.args else AbstractValue()
    return AbstractValue(kind="number", of_length=abstract.fraction or None)


def _number(_: Expressions, call: Call) -> AbstractValue:
    number = call.args[0] if call.args and call.args[0].kind == "number" else AbstractValue(kind="number")
    if isinstance(number.value, float) and abs(number.value) < _MOST and text_source(call.node.func) == "int":
        return AbstractValue(kind="number", value=int(number.value))
    return number


def _enumerate(it: Expressions, call: Call) -> AbstractValue:
    """Enumerate and zip: the same share passes by, in tuples."""
    given = [one.parts["source"] if one.kind == "tee" else one for one in call.args if one.kind != "number"]
    several = [it.iterated(argument) for argument in given]
    name = text_source(call.node.func)
    items = [source.one() for source in several]
    numbered = [AbstractValue(kind="number"), *items] if name == "enumerate" else items
    pair = AbstractValue(kind="tuple", parts={str(number): item for number, item in enumerate(numbered)})
    pair.of_input = any(item.of_input for item in items)
    fraction = max((source.fraction for source in several), default=0.0)
    kept = {str(number): source for number, source in enumerate(several)}
    each = fraction > 0 and all(source.each for source in several if source.fraction > 0)
    return it.memory.new("stream", fraction=fraction, item=pair, of_input=pair.of_input, parts=kept, each=each)


def _passed_by(it: Expressions, call: Call) -> AbstractValue:
    return it.iterated(call.args[0]) if call.args else AbstractValue()


PATTERN_METHODS: dict[str, Handler] = {
    "findall": _find_all,
    "finditer": _find_each,
    "sub": _substitute,
    **dict.fromkeys(("hexdigest", "digest", "intdigest"), _digest),
}


def _map(it: Expressions, call: Call) -> AbstractValue:
    if len(call.args) < 2:
        return AbstractValue()
    source = it.iterated(call.args[1])
    item = apply(it, call.node, call.args[0], source.one())
    return it.memory.new("stream", fraction=source.fraction, item=item, of_input=item.of_input, parts={"of": source})


def _filter(it: Expressions, call: Call) -> AbstractValue:
    return it.iterated(call.args[1]) if len(call.args) > 1 else AbstractValue()


def _iter(it: Expressions, call: Call) -> AbstractValue:
    if len(call.args) == 2 and call.args[0].kind == "function":  # iter(lambda: file.read(n), b"")
        with it.memory.loop(0.0) as loop:
            piece = it.call_function(call.args[0], [], {})
        return it.memory.new("stream", fraction=loop.fraction, item=piece, of_input=True)
    return it.iterated(call.args[0]) if call.args else AbstractValue()


def _next(it: Expressions, call: Call) -> AbstractValue:
    if call.args and call.args[0].kind == "tee":
        return call.args[0].parts["source"].one()
    source = it.iterated(call.args[0]) if call.args else AbstractValue()
    if source.fraction > 0:
        it.memory.advance(call.args[0])
    return source.one()


def _islice(it: Expressions, call: Call) -> AbstractValue:
    source = it.iterated(call.args[0]) if call.args else AbstractValue()
    if source.fraction > 0:
        it.memory.advance(call.args[0])
    if (
        len(call.args) > 2 and call.args[-1].value is None and call.args[-1].kind == "none"
    ):  # islice(f, 10, None) goes on to the end
        return source
    return it.memory.new("stream", fraction=0.0, item=source.one(), of_input=True, value="islice")


def _batched(it: Expressions, call: Call) -> AbstractValue:
    source = it.iterated(call.args[0]) if call.args else AbstractValue()
    item = source.one()
    several = AbstractValue(kind=LIST_OF.get(item.kind, "list"), of_input=True, item=item)
    return it.memory.new("stream", fraction=source.fraction, item=several, of_input=True)


def _chain(it: Expressions, call: Call) -> AbstractValue:
    several = [it.iterated(argument) for argument in call.args]
    source = it.largest(several)
    if source.one().kind == "tokens" or text_source(call.node.func).endswith("from_iterable"):
        item = source.one().one()
        return it.memory.new("stream", fraction=source.fraction, item=item, of_input=True, parts={"of": source})
    return it.memory.new("stream", fraction=source.fraction, item=source.one(), of_input=True, parts={"of": source})


def _buffer(kind: str) -> Handler:
    def make(it: Expressions, call: Call) -> AbstractValue:
        given = call.args[0] if call.args else AbstractValue()
        if given.fraction > 0 and kind != "compact":
            made = "text" if kind == "textbuffer" else "bytes"
            return it.memory.make(
                "copy", call.node, made, given.fraction, representation="joined" if made == "text" else ""
            )
        return it.memory.new(kind)

    return make


def same(_: Expressions, call: Call) -> AbstractValue:
    """Give what it is given."""
    return call.args[0] if call.args else AbstractValue()


FUNCTIONS: dict[str, Handler] = {
    **dict.fromkeys(("builtins.list", "builtins.tuple", "builtins.sorted"), make_list),
    **dict.fromkeys(("builtins.set", "builtins.frozenset"), _make_set),
    **dict.fromkeys(("builtins.dict", "collections.defaultdict", "collections.OrderedDict"), _make_dict),
    "collections.Counter": _make_counter,
    "itertools.tee": _tee,
    **dict.fromkeys(("re.findall", "re.split", "regex.findall", "regex.split"), _find_all),
    **dict.fromkeys(("re.finditer", "regex.finditer"), _find_each),
    **dict.fromkeys(("re.sub", "regex.sub", "re.subn"), _substitute),
    **dict.fromkeys((f"builtins.{name}" for name in _NUMBERS), _number),
    **dict.fromkeys(("math.ceil", "math.floor"), _number),
    **dict.fromkeys(("builtins.enumerate", "builtins.zip", "itertools.zip_longest"), _enumerate),
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
    "builtins.range": _range,
    "functools.partial": _partial,
    "builtins.print": lambda *_: AbstractValue(),
    "builtins.isinstance": lambda *_: AbstractValue(),
    "builtins.bytearray": _buffer("bytes"),
    "io.StringIO": _buffer("textbuffer"),
    "io.BytesIO": _buffer("bytebuffer"),
    "array.array": _buffer("compact"),
    "random.sample": lambda it, _: it.memory.new("list"),
}
LAST_NAMES: dict[str, Handler] = {"tqdm": _passed_by, "trange": lambda *_: AbstractValue(kind="range")}
