"""Pools of processes and threads: what they take in before they start, and what they keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.values import LIST_OF, Thing
from oomguard.script_analysis.libraries.python import same
from oomguard.script_analysis.libraries.tokenizers import apply

if TYPE_CHECKING:
    import ast

    from oomguard.script_analysis.interpreter.calls import Call, Handler, Methods
    from oomguard.script_analysis.interpreter.expressions import Expressions


_LISTS = {"map", "starmap", "map_async", "starmap_async"}
_STREAMS = {"imap", "imap_unordered", "istarmap"}
_MAKERS = ("Pool", "ThreadPool", "ProcessPoolExecutor", "ThreadPoolExecutor")


def collect_results(it: Expressions, node: ast.AST, args: list[Thing]) -> Thing:
    """Joblib's Parallel(...)(calls): a list of all results."""
    source = args[0] if args else Thing()
    sort = LIST_OF.get(source.one().sort)
    if source.share <= 0 or sort is None:
        return it.ledger.new("list")
    return it.ledger.make("pool-map", node, sort, source.share)


def use_pool(it: Expressions, call: Call) -> Thing | None:
    """A pool's map, imap, apply_async, submit."""
    if call.name in ("apply_async", "submit", "apply") and call.args:
        given = (
            call.args[1].parts.get("0", Thing())
            if len(call.args) > 1 and call.args[1].sort == "tuple"
            else call.args[1]
            if len(call.args) > 1
            else Thing()
        )
        return apply(it, call.node, call.args[0], given)
    if call.name not in _LISTS | _STREAMS or len(call.args) < 2:
        return call.owner if call.name == "__enter__" else Thing()
    source = it.iterated(call.args[1])
    lazy = call.name in _STREAMS or "buffersize" in call.kwargs
    with it.ledger.loop(source.share):
        result = apply(it, call.node, call.args[0], source.one())
    if lazy:
        return it.ledger.new("stream", share=source.share, item=result, of_input=True, parts={"of": source})
    sort = LIST_OF.get(result.sort) if result.of_input or result.share > 0 else None
    queued = LIST_OF.get(source.one().sort) if source.sort in ("stream", "file") else None
    share = max(source.share, result.share)
    if share <= 0 or (sort is None and queued is None):
        return it.ledger.new("list")
    more = it.ledger.cost(Thing(sort=queued, share=share)) if queued else 0.0
    if sort is None:
        it.ledger.trap("pool-map", call.node, queued or "", held=more)
        it.ledger.note_peak(more, line=call.node.lineno)
        return it.ledger.new("list")
    return it.ledger.make("pool-map", call.node, sort, share, more=more)


FUNCTIONS: dict[str, Handler] = {
    "joblib.Parallel": lambda it, _: it.ledger.new("parallel"),
    "joblib.delayed": same,
}
LAST_NAMES: dict[str, Handler] = dict.fromkeys(_MAKERS, lambda it, _: it.ledger.new("pool"))
METHODS: Methods = ((frozenset({"pool"}), use_pool),)
