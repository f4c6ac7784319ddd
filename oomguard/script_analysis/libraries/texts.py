"""Texts: split, joined, copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.calls import ANYWHERE, FUNCTIONS, methods_of
from oomguard.script_analysis.interpreter.values import LIST_OF, TEXTS, AbstractValue
from oomguard.script_analysis.libraries.tokenizers import apply

if TYPE_CHECKING:
    import ast

    from oomguard.script_analysis.interpreter.calls import Call
    from oomguard.script_analysis.interpreter.expressions import Expressions


_COPIES = frozenset(
    ("lower", "upper", "replace", "strip", "rstrip", "lstrip", "title", "translate", "casefold", "expandtabs", "format",
     "removeprefix", "removesuffix", "as_py"),
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


def _join(it: Expressions, call: Call) -> AbstractValue | None:
    return join(it, call.node, call.args[0]) if call.args else None


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
    """re.sub: another text; a function that it is given is called for each place."""
    for function in call.args[:2]:
        if function.kind in ("function", "bound", "partial"):
            with it.memory.loop(0.0):
                apply(it, call.node, function, AbstractValue(of_input=True))
    text = max(call.args, key=lambda one: (one.fraction, one.of_input), default=AbstractValue())
    if text.fraction > 0 and text.kind in TEXTS:
        return it.memory.make("copy", call.node, "text", text.fraction, representation="joined", each=text.each)
    return it.memory.new("document", of_input=text.of_input)


methods_of({*TEXTS, "bytes", "chunk"}, _text)
ANYWHERE.update(
    {
        "join": _join,
        "findall": _find_all,
        "finditer": _find_each,
        "sub": _substitute,
    }
)
FUNCTIONS.update(
    {
        **dict.fromkeys(("re.findall", "re.split", "regex.findall", "regex.split"), _find_all),
        **dict.fromkeys(("re.finditer", "regex.finditer"), _find_each),
        **dict.fromkeys(("re.sub", "regex.sub", "re.subn"), _substitute),
    }
)
