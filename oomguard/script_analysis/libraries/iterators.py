"""What passes by: enumerate, zip, map, itertools; a piece at a time, unless they keep it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.calls import FUNCTIONS, LAST_NAMES
from oomguard.script_analysis.interpreter.iteration import counted
from oomguard.script_analysis.interpreter.values import LIST_OF, STREAMED, AbstractValue, text_source
from oomguard.script_analysis.libraries.tokenizers import apply

if TYPE_CHECKING:
    from oomguard.script_analysis.interpreter.calls import Call
    from oomguard.script_analysis.interpreter.expressions import Expressions


def _combined(it: Expressions, call: Call) -> AbstractValue:
    """itertools.combinations, permutations, product: the pairs of what is given, and all that is given as a tuple."""
    several = [it.iterated(argument) for argument in call.args if argument.kind != "number"]
    source = it.largest(several)
    if source.kind in STREAMED and source.fraction > 0:
        it.memory.keep_all(call.node, source)
    item = source.one()
    pair = AbstractValue(kind="tuple", of_input=item.of_input, parts={"0": item, "1": item})
    paired = source.fraction > 0 and (len(several) == 1 or sum(one.fraction > 0 for one in several) > 1)
    return it.memory.new(
        "stream", fraction=source.fraction, item=pair, of_input=source.of_input, parts={"of": source}, paired=paired
    )


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
    source, item = _each_of(it, call)
    item = counted(item, source.one())
    return it.memory.new(
        "stream", fraction=source.fraction, item=item, of_input=item.of_input, parts={"of": source}, each=source.each
    )


def _each_of(it: Expressions, call: Call) -> tuple[AbstractValue, AbstractValue]:
    """Go through the function once in a loop over what it is given: it may keep what passes by."""
    several = [it.iterated(argument) for argument in call.args[1:]]
    source = max(several, key=lambda one: one.fraction)
    with it.memory.keeping([source]), it.memory.loop(source.fraction, each=source.each) as loop:
        items = [it.item_in(loop, source) if one is source else one.one() for one in several]
        if text_source(call.node.func).endswith("starmap") and items[0].kind == "tuple":
            items = list(items[0].parts.values())
        return source, apply(it, call.node, call.args[0], *items)


def _filter(it: Expressions, call: Call) -> AbstractValue:
    """What a filter lets pass is what it goes through."""
    if len(call.args) < 2:
        return AbstractValue()
    if call.args[0].kind != "none":
        return _each_of(it, call)[0]
    return it.iterated(call.args[1])


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


def _tokenized(it: Expressions, call: Call) -> AbstractValue:
    """tokenize.generate_tokens(file.readline): a token at a time."""
    reads = call.args[0] if call.args else AbstractValue()
    file = reads.parts.get("self", AbstractValue()) if reads.kind == "bound" else AbstractValue()
    item = AbstractValue(kind="word", of_input=True)
    whole = file.kind == "file" and not file.small and "many" not in file.parts
    return it.memory.new("stream", fraction=1.0 if whole else 0.0, item=item, of_input=True)


def _cycle(it: Expressions, call: Call) -> AbstractValue:
    """itertools.cycle: all that has passed by is kept, to pass by again."""
    source = it.iterated(call.args[0]) if call.args else AbstractValue()
    if source.fraction <= 0 or source.kind not in STREAMED:
        return source
    return it.memory.keep_all(call.node, source)


def _group(it: Expressions, call: Call) -> AbstractValue:
    """itertools.groupby: a key, and the items that follow one another with it."""
    source = it.iterated(call.args[0]) if call.args else AbstractValue()
    group = AbstractValue(kind="stream", item=source.one(), of_input=True)
    pair = AbstractValue(kind="tuple", of_input=True, parts={"0": AbstractValue(kind="value"), "1": group})
    return it.memory.new("stream", fraction=source.fraction, item=pair, of_input=True, parts={"of": source})


def _pairs(it: Expressions, call: Call) -> AbstractValue:
    """itertools.pairwise: each item with the one after it."""
    source = it.iterated(call.args[0]) if call.args else AbstractValue()
    item = source.one()
    pair = AbstractValue(kind="tuple", of_input=item.of_input, parts={"0": item, "1": item})
    return it.memory.new("stream", fraction=source.fraction, item=pair, of_input=True, parts={"of": source})


def _merge(it: Expressions, call: Call) -> AbstractValue:
    """heapq.merge: one item of each source at a time."""
    source = it.largest([it.iterated(argument) for argument in call.args])
    return it.memory.new("stream", fraction=source.fraction, item=source.one(), of_input=True, parts={"of": source})


def _few(it: Expressions, call: Call) -> AbstractValue:
    """heapq.nlargest, random.sample: so many as were asked for."""
    source = it.iterated(call.args[1]) if len(call.args) > 1 else AbstractValue()
    return it.memory.new("list", of_input=source.of_input, item=source.one() if source.of_input else None)


def _reduce(it: Expressions, call: Call) -> AbstractValue:
    source = it.iterated(call.args[1]) if len(call.args) > 1 else AbstractValue()
    if source.fraction > 0:
        it.memory.cannot_see(call.node, "what reduce() makes may grow with every step")
    return it.memory.new("unknown", of_input=source.of_input)


def _range(it: Expressions, call: Call) -> AbstractValue:
    """`range(len(all))` goes over all."""
    lengths = [one for one in call.args[:2] if one.of_length]
    longest = max(lengths, key=lambda one: one.of_length or 0.0, default=AbstractValue())
    fraction = min(1.0, longest.of_length or 0.0)
    return it.memory.new("range", fraction=fraction, item=AbstractValue(kind="number"), value=longest.inner)


FUNCTIONS.update(
    {
        "itertools.tee": _tee,
        "itertools.cycle": _cycle,
        **dict.fromkeys(("tokenize.generate_tokens", "tokenize.tokenize"), _tokenized),
        "itertools.groupby": _group,
        **dict.fromkeys(
            (
                "itertools.combinations",
                "itertools.permutations",
                "itertools.product",
                "itertools.combinations_with_replacement",
            ),
            _combined,
        ),
        "itertools.pairwise": _pairs,
        "heapq.merge": _merge,
        **dict.fromkeys(("heapq.nlargest", "heapq.nsmallest"), _few),
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
