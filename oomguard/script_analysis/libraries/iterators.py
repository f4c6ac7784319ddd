"""What passes by: enumerate, zip, map, itertools; a piece at a time, unless they keep it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.values import LIST_OF, AbstractValue, text_source
from oomguard.script_analysis.libraries.table import FUNCTIONS, LAST_NAMES
from oomguard.script_analysis.libraries.tokenizers import apply

if TYPE_CHECKING:
    from oomguard.script_analysis.interpreter.calls import Call
    from oomguard.script_analysis.interpreter.expressions import Expressions


def _tee(it: Expressions, call: Call) -> AbstractValue:
    """Two ways through one source: what the one has taken and the other has not yet is kept."""
    source = it.iterated(call.args[0]) if call.args else AbstractValue()
    way = it.memory.new("tee", value=call.node, of_input=source.of_input, parts={"source": source})
    return it.memory.new("tuple", parts={"0": way, "1": way, "2": way})


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


def _map(it: Expressions, call: Call) -> AbstractValue:
    if len(call.args) < 2:
        return AbstractValue()
    source = it.iterated(call.args[1])
    item = apply(it, call.node, call.args[0], source.one())
    return it.memory.new("stream", fraction=source.fraction, item=item, of_input=item.of_input, parts={"of": source})


def _filter(it: Expressions, call: Call) -> AbstractValue:
    return it.iterated(call.args[1]) if len(call.args) > 1 else AbstractValue()


def _iter(it: Expressions, call: Call) -> AbstractValue:
    if len(call.args) == 2 and call.args[0].kind in ("function", "bound", "partial"):  # iter(lambda: file.read(n), b"")
        with it.memory.loop(0.0) as loop:
            piece = it.call(call.node, call.args[0], [], {})
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


def _reduce(it: Expressions, call: Call) -> AbstractValue:
    source = it.iterated(call.args[1]) if len(call.args) > 1 else AbstractValue()
    if source.fraction > 0:
        it.memory.cannot_see(call.node, "what reduce() makes may grow with every step")
    return it.memory.new("unknown", of_input=source.of_input)


def _range(it: Expressions, call: Call) -> AbstractValue:
    """`range(len(all))` goes over all."""
    lengths = [one.of_length for one in call.args[:2] if one.of_length]
    return it.memory.new("range", fraction=min(1.0, max(lengths, default=0.0)), item=AbstractValue(kind="number"))


FUNCTIONS.update(
    {
        "itertools.tee": _tee,
        **dict.fromkeys(("builtins.enumerate", "builtins.zip", "itertools.zip_longest"), _enumerate),
        **dict.fromkeys(("builtins.map", "itertools.starmap"), _map),
        **dict.fromkeys(
            ("builtins.filter", "itertools.filterfalse", "itertools.takewhile", "itertools.dropwhile"), _filter
        ),
        **dict.fromkeys(
            ("itertools.batched", "more_itertools.chunked", "more_itertools.batched", "more_itertools.ichunked"),
            _batched,
        ),
        **dict.fromkeys(("itertools.chain", "itertools.chain.from_iterable"), _chain),
        **dict.fromkeys(("builtins.reversed", "rich.progress.track"), _passed_by),
        "builtins.iter": _iter,
        "builtins.next": _next,
        "itertools.islice": _islice,
        "builtins.range": _range,
        "functools.reduce": _reduce,
    }
)
LAST_NAMES.update({"tqdm": _passed_by, "trange": lambda *_: AbstractValue(kind="range")})
