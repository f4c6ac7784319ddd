"""Which function or method of Python and of the usual libraries does what: the one place where they are looked up.

Sources: the libraries' own documentation; what each holds was measured (oomguard.preparation.reading.text_shape).
"""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.calls import ANYWHERE, FRAME_METHODS, FUNCTIONS, LAST_NAMES, METHODS
from oomguard.script_analysis.interpreter.values import TEXTS, AbstractValue, text_source
from oomguard.script_analysis.libraries import containers as known_containers
from oomguard.script_analysis.libraries import keepers as known_keepers
from oomguard.script_analysis.libraries import pools as known_pools
from oomguard.script_analysis.libraries import tokenizers as known_tokenizers

if TYPE_CHECKING:
    from oomguard.script_analysis.interpreter.calls import Call
    from oomguard.script_analysis.interpreter.expressions import Expressions
    from oomguard.script_analysis.interpreter.memory_model import MemoryModel


_AS_PANDAS = ("modin.pandas.", "cudf.", "geopandas.read_", "pandas_gbq.read_", "fireducks.pandas.")
_TYPES = frozenset(
    ("builtins.list", "builtins.dict", "builtins.set", "builtins.str", "builtins.bytes", "builtins.bytearray",
     "collections.deque", "collections.Counter", "collections.defaultdict", "collections.OrderedDict"),
)  # fmt: skip


class _Libraries:
    """All that is known here, behind one object that the interpreter is given."""

    def attribute(self, memory: MemoryModel, name: str) -> AbstractValue:
        """Give a library's attribute; of most only its name is known."""
        if name in ("sys.stdin", "sys.stdin.buffer"):
            return memory.new("file", value="stdin")
        return AbstractValue(kind="module", value=name)

    def call_function(self, it: Expressions, name: str, call: Call) -> AbstractValue | None:
        """Give what a call of the function with this dotted name gives; None where it is not known."""
        if name.startswith(_AS_PANDAS):
            name = f"pandas.{name.partition('.')[2].removeprefix('pandas.')}"
        last_two, last = ".".join(name.split(".")[-2:]), name.rpartition(".")[2]
        known = FUNCTIONS.get(name) or FUNCTIONS.get(last_two)
        if known is None and name.startswith(("pandas.read_", "polars.read_")):
            known = FUNCTIONS["pandas.read_csv"]
        if known is None and last in LAST_NAMES:
            return LAST_NAMES[last](it, replace(call, name=name))
        if known is None and call.args and name.rpartition(".")[0] in _TYPES:  # list.append(rows, line)
            return self.call_method(it, replace(call, owner=call.args[0], name=last, args=call.args[1:]))
        return known(it, call) if known is not None else None

    def call_method(self, it: Expressions, call: Call) -> AbstractValue:
        """Give what a call of the method `call.name` of `call.owner` gives."""
        owner, name = call.owner, call.name
        if name == "add_argument":
            return _remember_default(it, call)
        known = METHODS.get(owner.kind)
        given = known(it, call) if known is not None else None
        if given is None and name in known_tokenizers.ENCODERS and owner.kind not in (*TEXTS, "bytes", "chunk"):
            return _encode(it, call)
        if given is None and name in ANYWHERE:
            given = ANYWHERE[name](it, call)
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
        if function.kind == "sized":  # (ctypes.c_char * size)()
            return it.memory.make("growing-array", call.node, "bytes", min(1.0, function.of_length or 1.0))
        if function.kind == "cache_maker":
            return known_keepers.make_cached(it, function, call)
        if function.kind == "method_caller" and call.args:
            given = list(function.parts.values())
            return self.call_method(it, replace(call, owner=call.args[0], name=str(function.value), args=given))
        if function.kind == "parallel":
            return known_pools.collect_results(it, call.node, call.args)
        if known_tokenizers.is_tokenizer(name) and name.rpartition(".")[2][:1].isupper():
            return AbstractValue(kind="tokenizer")  # Tokenizer(...): a class
        if known_tokenizers.is_tokenizer(name):
            return known_tokenizers.encode(it, call.node, call.args, call.kwargs, wrapped=True)
        return None

    def makes_tokens(self, name: str) -> bool:
        """Whether a method of this name makes token ids of a text."""
        return name in known_tokenizers.ENCODERS

    def is_frame_method(self, name: str) -> bool:
        """Whether a table has a method of this name, rather than a column."""
        return name in FRAME_METHODS


LIBRARIES = _Libraries()


def _encode(it: Expressions, call: Call) -> AbstractValue:
    if call.name == "tokenize" and call.owner.kind not in ("tokenizer", "unknown", "parameter", "object"):
        return it.unknown_call(call.name, call.args, node=call.node, owner=call.owner)
    return known_tokenizers.encode(it, call.node, call.args, call.kwargs, name=call.name)


def _remember_default(it: Expressions, call: Call) -> AbstractValue:
    """argparse: the default of a flag is what the script runs with."""
    default = call.kwargs.get("default")
    opened = next((word.value for word in call.node.keywords if word.arg == "type"), None)
    given = it.evaluate(opened) if opened is not None and "FileType" in text_source(opened) else default
    if given is not None and given.kind in ("file", "output"):
        names = [one.value for one in call.args if isinstance(one.value, str)]
        it.given_files |= {name.lstrip("-").replace("-", "_"): given for name in names}
        return AbstractValue()
    for argument in call.node.args:
        if default is None or default.value is None:
            break
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            it.defaults[argument.value.lstrip("-").replace("-", "_")] = default.value
    return AbstractValue()
