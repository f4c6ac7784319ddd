"""Texts: split, joined, copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.values import LIST_OF, TEXTS, AbstractValue

if TYPE_CHECKING:
    import ast

    from oomguard.script_analysis.interpreter.calls import Call, Methods
    from oomguard.script_analysis.interpreter.expressions import Expressions


_COPIES = frozenset(
    ("lower", "upper", "replace", "strip", "rstrip", "lstrip", "title", "translate", "casefold", "expandtabs", "format",
     "removeprefix", "removesuffix"),
)  # fmt: skip


TEXT_METHODS = _COPIES | {"split", "splitlines", "rsplit", "partition", "encode"}


def _text(it: Expressions, call: Call) -> AbstractValue | None:
    if call.name == "join" and call.args:
        return join(it, call.node, call.args[0])
    if call.name in ("split", "splitlines", "rsplit", "partition", "rpartition"):
        kind = _split_kind(call.name, call.args)
        if call.owner.fraction > 0:
            return it.memory.make("list-of-input", call.node, kind, call.owner.fraction, each=call.owner.each)
        return it.memory.new(kind, of_input=call.owner.of_input)
    if call.name in ("encode", "decode"):
        kind = "bytes" if call.name == "encode" else "text"
        if call.owner.fraction > 0:
            return it.memory.make(
                "copy",
                call.node,
                kind,
                call.owner.fraction,
                representation="bytes" if call.name == "encode" else "joined",
            )
        return it.memory.new("chunk" if call.name == "encode" else "document", of_input=call.owner.of_input)
    if call.name in _COPIES:
        return (
            it.memory.make("copy", call.node, call.owner.kind, call.owner.fraction, representation="joined")
            if call.owner.fraction > 0
            else it.memory.new(call.owner.kind, of_input=call.owner.of_input)
        )
    if call.name in ("extend", "append") and call.args:  # a bytearray
        it.memory.grow(call.owner, call.args[0], call.node, spread=True)
        return AbstractValue()
    if call.name == "clear":
        it.memory.flush(call.owner)
        return AbstractValue()
    return AbstractValue(kind="number")


def _split_kind(name: str, args: list[AbstractValue]) -> str:
    separator = args[0].value if args else None
    if isinstance(separator, bytes):
        separator = separator.decode(errors="replace")
    if name == "splitlines" or separator in ("\n", "\r\n"):
        return "lines"
    if separator is None and not args:
        return "words"
    return "words" if separator in (" ", ",", "\t") else "documents"


def join(it: Expressions, node: ast.Call, several: AbstractValue) -> AbstractValue:
    """str.join and bytes.join."""
    source = it.iterated(several)
    if source.fraction <= 0 or source.kind == "paths":
        return it.memory.new("document", of_input=source.of_input or source.one().of_input)
    kind = "bytes" if source.one().kind in ("chunk", "bytes") else "text"
    # join() makes a list of what is no list yet.
    unlisted = LIST_OF.get(source.one().kind) if source.kind in ("stream", "file") else None
    more = source.fraction * it.memory.cost(AbstractValue(kind=unlisted, fraction=1.0)) if unlisted else 0.0
    made = it.memory.make("join-all", node, kind, source.fraction, representation="joined" if kind == "text" else "")
    it.memory.note_peak(more, line=node.lineno)
    return made


METHODS: Methods = ((frozenset({*TEXTS, "bytes", "chunk"}), _text),)
