"""Pools of processes and threads, queues and tasks: what they take in before they start, and what they keep."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.calls import ANYWHERE, FUNCTIONS, LAST_NAMES, methods_of
from oomguard.script_analysis.interpreter.values import LIST_OF, AbstractValue
from oomguard.script_analysis.libraries.python import same
from oomguard.script_analysis.libraries.tokenizers import apply

if TYPE_CHECKING:
    from oomguard.script_analysis.interpreter.calls import Call
    from oomguard.script_analysis.interpreter.expressions import Expressions


_FEW_RECORDS = 50_000  # of a log: about a kilobyte each
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
        if "imap" in call.name:
            it.memory.assumptions[call.node.lineno] = (
                "the loop must keep up with the workers: imap keeps every result that the loop has not taken yet"
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
    bounded = given is not None and not (isinstance(given.value, int) and given.value <= 0)
    return it.memory.new("queue", value="" if bounded else "unbounded")


def _use_queue(it: Expressions, call: Call) -> AbstractValue:
    """A queue without a maximum keeps all that its readers have not taken yet."""
    if call.name in ("Queue", "JoinableQueue"):  # of a Manager
        return _make_queue(it, call)
    if call.name in ("list", "dict"):
        return it.memory.new(call.name)
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
    args = list(given.parts.values()) if given.kind == "tuple" else []
    if target is not None and target.kind in ("function", "bound"):
        with it.memory.loop(0.0):
            it.call(call.node, target, args, {})
    return it.memory.new("worker", item=it.largest([one for one in args if one.of_input and one.fraction <= 0]))


def _task(_: Expressions, call: Call) -> AbstractValue | None:
    """What gives the coroutine that it is given, as asyncio's create_task does."""
    return call.args[0] if call.args and call.args[0].kind == "future" else None


def _start_soon(it: Expressions, call: Call) -> AbstractValue | None:
    """`start_soon(function, *args)` of trio and anyio: a task that keeps what it was given until it ends."""
    if not call.args:
        return None
    with it.memory.loop(0.0):
        apply(it, call.node, *call.args)
    if any(loop.fraction > 0 and loop.number not in call.owner.born for loop in it.memory.loops):
        it.memory.cannot_see(
            call.node, "starts a task for each piece of the input; how many wait at once cannot be seen here"
        )
    return AbstractValue(kind="none")


def _run_coroutine(_: Expressions, call: Call) -> AbstractValue | None:
    """asyncio.run(main())."""
    given = call.args[0] if call.args else AbstractValue()
    return given.parts.get("result", given) if given.kind == "future" else None


def _submit(it: Expressions, call: Call) -> AbstractValue | None:
    return use_pool(it, call) if call.args else None


def _map_with(it: Expressions, call: Call) -> AbstractValue | None:
    if call.owner.kind in ("unknown", "parameter") and len(call.args) > 1:
        return use_pool(it, call) or AbstractValue()
    return None


def _when_done(it: Expressions, call: Call) -> AbstractValue | None:
    """add_done_callback: called once, with the future."""
    if not call.args:
        return None
    result = AbstractValue(kind="document", of_input=True)
    done = call.owner if call.owner.kind == "future" else AbstractValue(kind="future", of_input=True, item=result)
    apply(it, call.node, call.args[0], done)
    submitted = isinstance(call.node.func, ast.Attribute) and isinstance(call.node.func.value, ast.Call)
    if submitted and any(loop.fraction > 0 and not loop.bounded for loop in it.memory.loops):
        it.memory.cannot_see(call.node, "tasks wait in a queue without a limit until a worker takes them")
    return AbstractValue(kind="none")


def _result(_: Expressions, call: Call) -> AbstractValue | None:
    if call.owner.kind == "future":
        return call.owner.item
    return call.owner if call.owner.fraction > 0 else None


def _remote(it: Expressions, call: Call) -> AbstractValue | None:
    """`f.remote(x)` of ray, `f.delay(x)` of celery: a result that is not there yet."""
    if call.owner.kind != "function":
        return None
    result = it.call_function(call.owner, call.args, call.kwargs)
    return it.memory.new("future", item=result, of_input=result.of_input)


def _keep_records(it: Expressions, call: Call) -> AbstractValue:
    """MemoryHandler and QueueHandler of logging: records wait, up to a number, or for who takes them from the queue."""
    given = call.args[0] if call.args else call.kwargs.get("capacity", AbstractValue())
    few = isinstance(given.value, int) and given.value <= _FEW_RECORDS
    if not few and not (given.kind == "queue" and given.value != "unbounded"):
        it.memory.cannot_see(call.node, "keeps log records until there are very many, or until they are taken")
    return it.memory.new("output")


FUNCTIONS.update(
    {
        **dict.fromkeys(
            ("logging.handlers.MemoryHandler", "logging.handlers.BufferingHandler", "logging.handlers.QueueHandler"),
            _keep_records,
        ),
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
                "queue.LifoQueue",
                "queue.PriorityQueue",
                "asyncio.Queue",
                "asyncio.LifoQueue",
                "asyncio.PriorityQueue",
                "multiprocessing.Manager",
            ),
            _make_queue,
        ),
        "ray.get": _gathered,
        **dict.fromkeys(("asyncio.create_task", "asyncio.ensure_future", "asyncio.wait_for", "asyncio.shield"), _task),
        "asyncio.run": _run_coroutine,
        "asyncio.TaskGroup": lambda it, _: it.memory.new("set"),
    }
)
LAST_NAMES.update(
    {
        **dict.fromkeys(_MAKERS, lambda it, _: it.memory.new("pool")),
        **dict.fromkeys(("Thread", "Process"), _start),
    }
)
methods_of({"pool"}, use_pool)
methods_of({"queue"}, _use_queue)
ANYWHERE.update(
    {
        "submit": _submit,
        **dict.fromkeys(("map", "apply", "imap"), _map_with),
        **dict.fromkeys(("get", "result", "wait"), _result),
        **dict.fromkeys(("remote", "delay"), _remote),
        "create_task": _task,
        "add_done_callback": _when_done,
        "start_soon": _start_soon,
        "run_until_complete": _run_coroutine,
    }
)
