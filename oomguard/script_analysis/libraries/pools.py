"""Pools of processes and threads: what they take in before they start, and what they keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.values import LIST_OF, AbstractValue
from oomguard.script_analysis.libraries.python import same
from oomguard.script_analysis.libraries.tokenizers import apply

if TYPE_CHECKING:
    import ast

    from oomguard.script_analysis.interpreter.calls import Call, Handler, Methods
    from oomguard.script_analysis.interpreter.expressions import Expressions


_LISTS = {"map", "starmap", "map_async", "starmap_async"}
_STREAMS = {"imap", "imap_unordered", "istarmap"}
_MAKERS = ("Pool", "ThreadPool", "ProcessPoolExecutor", "ThreadPoolExecutor")


def collect_results(it: Expressions, node: ast.AST, args: list[AbstractValue]) -> AbstractValue:
    """Joblib's Parallel(...)(calls): a list of all results."""
    source = args[0] if args else AbstractValue()
    kind = LIST_OF.get(source.one().kind)
    if source.fraction <= 0 or kind is None:
        return it.memory.new("list")
    return it.memory.make("pool-map", node, kind, source.fraction)


def use_pool(it: Expressions, call: Call) -> AbstractValue | None:
    """A pool's map, imap, apply_async, submit."""
    if call.name in ("apply_async", "submit", "apply") and call.args:
        given = call.args[1:]
        if call.name != "submit" and given and given[0].kind == "tuple":  # apply_async(f, (a, b))
            given = list(given[0].parts.values())
        with it.memory.loop(0.0):
            result = apply(it, call.node, call.args[0], *given)
        if call.name == "apply":
            return result
        return it.memory.new("future", item=result, of_input=result.of_input or result.fraction > 0)
    if call.name not in _LISTS | _STREAMS or len(call.args) < 2:
        return call.owner if call.name == "__enter__" else AbstractValue()
    source = it.iterated(call.args[1])
    lazy = call.name in _STREAMS or "buffersize" in call.kwargs
    with it.memory.loop(source.fraction):
        result = apply(it, call.node, call.args[0], source.one())
    if lazy:
        if source.fraction > 0 and "imap" in call.name:
            it.memory.assumptions[call.node.lineno] = (
                "the loop must keep up with the workers: imap keeps every result that it has not taken yet"
            )
        return it.memory.new("stream", fraction=source.fraction, item=result, of_input=True, parts={"of": source})
    kind = LIST_OF.get(result.kind) if result.of_input or result.fraction > 0 else None
    queued = LIST_OF.get(source.one().kind) if source.kind in ("stream", "file") else None
    fraction = max(source.fraction, result.fraction)
    if fraction <= 0 or (kind is None and queued is None):
        return it.memory.new("list")
    more = it.memory.cost(AbstractValue(kind=queued, fraction=fraction)) if queued else 0.0
    if kind is None:
        it.memory.report("pool-map", call.node, queued or "", held=more, each=source.each)
        it.memory.note_peak(more, line=call.node.lineno)
        return it.memory.new("list")
    return it.memory.make("pool-map", call.node, kind, fraction, more=more)


def _make_queue(it: Expressions, call: Call) -> AbstractValue:
    given = call.kwargs.get("maxsize") or (call.args[0] if call.args else None)
    bounded = given is not None and given.value != 0
    return it.memory.new("queue", value="" if bounded else "unbounded")


def _use_queue(it: Expressions, call: Call) -> AbstractValue:
    """A queue without a maximum keeps all that its readers have not taken yet."""
    if call.name == "Queue":  # of a Manager
        return _make_queue(it, call)
    if call.name in ("put", "put_nowait") and call.owner.value == "unbounded":
        put = call.args[0] if call.args else AbstractValue()
        parts = [put, *put.parts.values()]
        loops = [loop for loop in it.memory.loops if loop.fraction > 0 and loop.number not in call.owner.born]
        if loops and any(one.of_input for one in parts):
            it.memory.cannot_see(call.node, "a queue without maxsize keeps all that its readers have not taken yet")
    return AbstractValue(of_input=call.name.startswith("get"))


def _gathered(it: Expressions, call: Call) -> AbstractValue:
    """ray.get: the results of what is given, all at once."""
    given = call.args[0] if call.args else AbstractValue()
    item = given.item.item if given.item is not None and given.item.kind == "future" else given.item
    if given.kind == "future":
        return given.item or AbstractValue()
    kind = LIST_OF.get(item.kind) if item is not None else None
    if given.fraction <= 0 or kind is None:
        return it.memory.new("list", item=item, of_input=given.of_input)
    return it.memory.make("pool-map", call.node, kind, given.fraction)


def _start(it: Expressions, call: Call) -> AbstractValue:
    """Thread(target=f, args=(...)) and Process: the function runs with these."""
    target, given = call.kwargs.get("target"), call.kwargs.get("args", AbstractValue())
    if target is not None and target.kind in ("function", "bound"):
        args = list(given.parts.values()) if given.kind == "tuple" else []
        with it.memory.loop(0.0):
            it.call(call.node, target, args, {})
    return it.memory.new("worker")


FUNCTIONS: dict[str, Handler] = {
    "joblib.Parallel": lambda it, _: it.memory.new("parallel"),
    "joblib.delayed": same,
    **dict.fromkeys(
        ("concurrent.futures.as_completed", "futures.as_completed", "asyncio.as_completed"),
        lambda it, call: it.iterated(call.args[0]) if call.args else AbstractValue(),
    ),
    **dict.fromkeys(
        (
            "multiprocessing.Queue",
            "multiprocessing.JoinableQueue",
            "multiprocessing.SimpleQueue",
            "queue.Queue",
            "queue.SimpleQueue",
            "multiprocessing.Manager",
        ),
        _make_queue,
    ),
    "ray.get": _gathered,
}
LAST_NAMES: dict[str, Handler] = {
    **dict.fromkeys(_MAKERS, lambda it, _: it.memory.new("pool")),
    **dict.fromkeys(("Thread", "Process"), _start),
}
METHODS: Methods = ((frozenset({"pool"}), use_pool), (frozenset({"queue"}), _use_queue))
