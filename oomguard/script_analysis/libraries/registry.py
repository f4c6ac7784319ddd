"""Which function or method of Python and of the usual libraries does what: the one place where they are looked up.

Sources: the libraries' own documentation; what each holds was measured (oomguard.preparation.reading.text_shape).
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.values import TEXTS, AbstractValue
from oomguard.script_analysis.libraries import containers as known_containers
from oomguard.script_analysis.libraries import files as known_files
from oomguard.script_analysis.libraries import pools as known_pools
from oomguard.script_analysis.libraries import processes as known_processes
from oomguard.script_analysis.libraries import python as known_python
from oomguard.script_analysis.libraries import tables as known_tables
from oomguard.script_analysis.libraries import texts as known_texts
from oomguard.script_analysis.libraries import tokenizers as known_tokenizers

if TYPE_CHECKING:
    from oomguard.script_analysis.interpreter.calls import Call, Handler
    from oomguard.script_analysis.interpreter.expressions import Expressions
    from oomguard.script_analysis.interpreter.memory_model import MemoryModel

_FUNCTIONS: dict[str, Handler] = {
    **known_files.FUNCTIONS,
    **known_python.FUNCTIONS,
    **known_containers.FUNCTIONS,
    **known_tables.FUNCTIONS,
    **known_pools.FUNCTIONS,
    **known_processes.FUNCTIONS,
    **known_tokenizers.FUNCTIONS,
}
# Whatever they are imported from.
_LAST_NAMES: dict[str, Handler] = {
    **known_python.LAST_NAMES,
    **known_tokenizers.LAST_NAMES,
    **known_pools.LAST_NAMES,
}
_METHODS = {
    kind: handler
    for methods in (
        known_files.METHODS,
        known_texts.METHODS,
        known_containers.METHODS,
        known_tables.METHODS,
        known_pools.METHODS,
        known_processes.METHODS,
    )
    for kinds, handler in methods
    for kind in kinds
}
_PATHS = ("path", "unknown", "parameter", "path_of_many")  # what may be a path, as far as anybody knows


class _Libraries:
    """All that is known here, behind one object that the interpreter is given."""

    def attribute(self, memory: MemoryModel, name: str) -> AbstractValue:
        """Give a library's attribute; of most only its name is known."""
        if name in ("sys.stdin", "sys.stdin.buffer"):
            return memory.new("file", value="stdin")
        return AbstractValue(kind="module", value=name)

    def call_function(self, it: Expressions, name: str, call: Call) -> AbstractValue | None:
        """Give what a call of the function with this dotted name gives; None where it is not known."""
        last_two, last = ".".join(name.split(".")[-2:]), name.rpartition(".")[2]
        known = _FUNCTIONS.get(name) or _FUNCTIONS.get(last_two) or _LAST_NAMES.get(last)
        return known(it, call) if known is not None else None

    def call_method(self, it: Expressions, call: Call) -> AbstractValue:
        """Give what a call of the method `call.name` of `call.owner` gives."""
        owner, name = call.owner, call.name
        if name == "add_argument":
            return _remember_default(it, call)
        known = _METHODS.get(owner.kind)
        given = known(it, call) if known is not None else None
        if given is None and name in known_tokenizers.ENCODERS and owner.kind not in (*TEXTS, "bytes", "chunk"):
            return _encode(it, call)
        if given is None and name in _ANYWHERE:
            given = _ANYWHERE[name](it, call)
        if given is not None:
            return given
        if known_tokenizers.is_tokenizer(name):
            return known_tokenizers.encode(it, call.node, call.args, call.kwargs, wrapped=True)
        args = [*call.args, *call.kwargs.values()]
        return it.unknown_call(name, [owner, *args] if owner.of_input else args, node=call.node, owner=owner)

    def pairwise(self, it: Expressions, node: ast.AST, matrix: AbstractValue) -> AbstractValue:
        """Give all rows of a matrix by all rows."""
        return known_containers.pairwise(it, node, matrix)

    def call_value(self, it: Expressions, function: AbstractValue, name: str, call: Call) -> AbstractValue | None:
        """Give what calling a tokenizer, joblib's Parallel, or what is named like a tokenizer gives."""
        if function.kind == "tokenizer":
            method = str(function.value or "")
            return known_tokenizers.encode(it, call.node, call.args, call.kwargs, name=method, wrapped=not method)
        if function.kind == "parallel":
            return known_pools.collect_results(it, call.node, call.args)
        if known_tokenizers.is_tokenizer(name):
            return known_tokenizers.encode(it, call.node, call.args, call.kwargs, wrapped=True)
        return None

    def makes_tokens(self, name: str) -> bool:
        """Whether a method of this name makes token ids of a text."""
        return name in known_tokenizers.ENCODERS

    def is_frame_method(self, name: str) -> bool:
        """Whether a table has a method of this name, rather than a column."""
        return name in known_tables.FRAME_METHODS


LIBRARIES = _Libraries()


def _encode(it: Expressions, call: Call) -> AbstractValue:
    if call.name == "tokenize" and call.owner.kind not in ("tokenizer", "unknown", "parameter", "object"):
        return it.unknown_call(call.name, call.args, node=call.node, owner=call.owner)
    return known_tokenizers.encode(it, call.node, call.args, call.kwargs, name=call.name)


def _remember_default(it: Expressions, call: Call) -> AbstractValue:
    """argparse: the default of a flag is what the script runs with."""
    default = call.kwargs.get("default")
    for argument in call.node.args:
        if default is None or default.value is None:
            break
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            it.defaults[argument.value.lstrip("-").replace("-", "_")] = default.value
    return AbstractValue()


# Methods that tell by their name what they do, whatever they are called on.


def _join(it: Expressions, call: Call) -> AbstractValue | None:
    return known_texts.join(it, call.node, call.args[0]) if call.args else None


def _tolist(it: Expressions, call: Call) -> AbstractValue:
    return known_containers.tolist(it, call.node, call.owner)


def _list_folder(it: Expressions, call: Call) -> AbstractValue | None:
    return it.memory.new("paths", fraction=1.0) if call.owner.kind in (*_PATHS, "module") else None


def _open(it: Expressions, call: Call) -> AbstractValue | None:
    return known_files.open_path(it, call) if call.owner.kind in _PATHS else None


def _submit(it: Expressions, call: Call) -> AbstractValue | None:
    return known_pools.use_pool(it, call) if call.args else None


def _map_with(it: Expressions, call: Call) -> AbstractValue | None:
    if call.owner.kind in ("unknown", "parameter") and len(call.args) > 1:
        return known_pools.use_pool(it, call) or AbstractValue()
    return None


def _first_argument(_: Expressions, call: Call) -> AbstractValue | None:
    return call.args[0] if call.args else None


def _result(it: Expressions, call: Call) -> AbstractValue | None:
    if call.owner.kind == "future":
        return call.owner.item
    return _itself(it, call)


def _foreign_line(it: Expressions, call: Call) -> AbstractValue | None:
    """`reader.readline()` of an object that nobody knows: an input all the same."""
    if call.owner.kind not in ("unknown", "parameter", "object"):
        return None
    it.memory.advance(call.owner, lines=True)
    it.memory.read_at(call.node)
    return it.memory.new("line", of_input=True)


def _foreign_whole(it: Expressions, call: Call) -> AbstractValue | None:
    if call.owner.kind != "unknown" or call.owner.small or call.args or not call.owner.origin:
        return None
    it.memory.read_at(call.node)
    return it.memory.make("whole-read", call.node, "text", 1.0)


def _foreign_lines(it: Expressions, call: Call) -> AbstractValue | None:
    if call.owner.kind != "unknown" or call.owner.small or call.args or not call.owner.origin:
        return None
    it.memory.read_at(call.node)
    return it.memory.make("readlines", call.node, "lines", 1.0)


def _fetch_all(it: Expressions, call: Call) -> AbstractValue | None:
    return known_processes.fetch_all(it, call) if call.owner.kind in ("unknown", "parameter") else None


def _matrix(it: Expressions, call: Call) -> AbstractValue | None:
    """A vectorizer's fit_transform: a sparse matrix of all words of all documents."""
    given = call.args[0] if call.args else AbstractValue()
    if given.fraction <= 0:
        return None
    given = it.iterated(given)
    return it.memory.make("matrix", call.node, "matrix", given.fraction, each=given.each)


def _remote(it: Expressions, call: Call) -> AbstractValue | None:
    """`f.remote(x)` of ray, `f.delay(x)` of celery: a result that is not there yet."""
    if call.owner.kind != "function":
        return None
    result = it.call_function(call.owner, call.args, call.kwargs)
    return it.memory.new("future", item=result, of_input=result.of_input)


def _itself(_: Expressions, call: Call) -> AbstractValue | None:
    return call.owner if call.owner.fraction > 0 else None


def _download(it: Expressions, call: Call) -> AbstractValue:
    item = AbstractValue(kind="line" if call.name == "iter_lines" else "chunk", of_input=True)
    return it.memory.new("stream", fraction=1.0, item=item)


_ANYWHERE: dict[str, Handler] = {
    "join": _join,
    "tolist": _tolist,
    **dict.fromkeys(("glob", "rglob", "iterdir", "walk"), _list_folder),
    "open": _open,
    **dict.fromkeys(("read_text", "read_bytes"), known_files.read_path),
    "submit": _submit,
    **dict.fromkeys(("map", "apply", "imap"), _map_with),
    "stream_reader": _first_argument,
    **dict.fromkeys(("get", "result", "wait"), _result),
    **dict.fromkeys(("numpy", "cpu", "copy"), _itself),
    "readline": _foreign_line,
    "read": _foreign_whole,
    "readlines": _foreign_lines,
    "fetchall": _fetch_all,
    "fit_transform": _matrix,
    **dict.fromkeys(("remote", "delay"), _remote),
    **known_python.PATTERN_METHODS,
    **dict.fromkeys(("iter_content", "iter_lines", "iter_bytes"), _download),
    **known_tokenizers.LAST_NAMES,
}
