"""Texts: split, joined, copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.values import LIST_OF, TEXTS, Thing

if TYPE_CHECKING:
    import ast

    from oomguard.script_analysis.interpreter.calls import Call, Methods
    from oomguard.script_analysis.interpreter.expressions import Expressions


_COPIES = frozenset(
    ("lower", "upper", "replace", "strip", "rstrip", "lstrip", "title", "translate", "casefold", "expandtabs", "format",
     "removeprefix", "removesuffix"),
)  # fmt: skip


def _text(it: Expressions, call: Call) -> Thing | None:
    if call.name == "join" and call.args:
        return join(it, call.node, call.args[0])
    if call.name in ("split", "splitlines", "rsplit", "partition", "rpartition"):
        sort = _split_sort(call.name, call.args)
        if call.owner.share > 0:
            return it.ledger.make("list-of-input", call.node, sort, call.owner.share)
        return it.ledger.new(sort, of_input=call.owner.of_input)
    if call.name in ("encode", "decode"):
        sort = "bytes" if call.name == "encode" else "text"
        if call.owner.share > 0:
            return it.ledger.make(
                "copy", call.node, sort, call.owner.share, way="bytes" if call.name == "encode" else "joined"
            )
        return it.ledger.new("chunk" if call.name == "encode" else "document", of_input=call.owner.of_input)
    if call.name in _COPIES:
        return (
            it.ledger.make("copy", call.node, call.owner.sort, call.owner.share, way="joined")
            if call.owner.share > 0
            else it.ledger.new(call.owner.sort, of_input=call.owner.of_input)
        )
    if call.name in ("extend", "append") and call.args:  # a bytearray
        it.ledger.grow(call.owner, call.args[0], call.node, spread=True)
        return Thing()
    if call.name == "clear":
        it.ledger.flush(call.owner)
        return Thing()
    return Thing(sort="number")


def _split_sort(name: str, args: list[Thing]) -> str:
    separator = args[0].value if args else None
    if isinstance(separator, bytes):
        separator = separator.decode(errors="replace")
    if name == "splitlines" or separator in ("\n", "\r\n"):
        return "lines"
    if separator is None and not args:
        return "words"
    return "words" if separator in (" ", ",", "\t") else "documents"


def join(it: Expressions, node: ast.Call, several: Thing) -> Thing:
    """str.join and bytes.join."""
    source = it.iterated(several)
    if source.share <= 0 or source.sort == "paths":
        return it.ledger.new("document", of_input=source.of_input or source.one().of_input)
    sort = "bytes" if source.one().sort in ("chunk", "bytes") else "text"
    # join() makes a list of what is no list yet.
    unlisted = LIST_OF.get(source.one().sort) if source.sort in ("stream", "file") else None
    more = source.share * it.ledger.cost(Thing(sort=unlisted, share=1.0)) if unlisted else 0.0
    made = it.ledger.make("join-all", node, sort, source.share, way="joined" if sort == "text" else "")
    it.ledger.note_peak(more, line=node.lineno)
    return made


METHODS: Methods = ((frozenset({*TEXTS, "bytes", "chunk"}), _text),)
