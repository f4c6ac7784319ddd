"""What keeps what it is given where nobody sees a list: callbacks, context variables, memory that looks like a file."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.calls import ANYWHERE, FUNCTIONS, LAST_NAMES, methods_of
from oomguard.script_analysis.interpreter.memory_model import LARGE_LIMIT
from oomguard.script_analysis.interpreter.values import AbstractValue, text_source
from oomguard.script_analysis.libraries.files import in_memory, map_file

if TYPE_CHECKING:
    from oomguard.script_analysis.interpreter.calls import Call, Handler
    from oomguard.script_analysis.interpreter.expressions import Expressions


def _in_loop_over_input(it: Expressions, owner: AbstractValue) -> bool:
    """Whether a loop over the input runs that `owner` outlives."""
    return any(loop.fraction > 0 and loop.number not in owner.born for loop in it.memory.loops)


def _pieces(call: Call) -> bool:
    """Whether something of the input is among what is given."""
    given = [*call.args, *call.kwargs.values()]
    return any(one.of_input or one.fraction > 0 for arg in given for one in (arg, *arg.parts.values()))


def _kept(why: str, *, always: bool = False, least: int = 1) -> Handler:
    """What takes in a piece in each turn of a loop, and does not let it go."""

    def take(it: Expressions, call: Call) -> AbstractValue | None:
        if call.owner.kind not in ("unknown", "parameter") or len(call.args) < least:
            return None
        if _in_loop_over_input(it, call.owner) and (always or _pieces(call)):
            it.memory.cannot_see(call.node, why)
        return None

    return take


def _mailbox(it: Expressions, call: Call) -> AbstractValue:
    """A mailbox: a message at a time."""
    it.memory.read_at(call.node)
    message = AbstractValue(kind="unknown", of_input=True)
    return it.memory.new("stream", fraction=1.0, item=message, of_input=True)


def _feed(it: Expressions, call: Call) -> AbstractValue | None:
    """XMLPullParser: its elements stay in the tree unless they are cleared."""
    if call.name == "feed" and _in_loop_over_input(it, call.owner) and _pieces(call):
        it.memory.cannot_see(call.node, "the tree that it builds stays, unless elements are cleared")
    return AbstractValue()


_LATER = _kept("keeps what it is given until it is called")
_TREE = _kept("adds to a tree in memory for each piece of the input", always=True)
_TAKEN = _kept("what it is called on may keep each piece that it is given")

FUNCTIONS.update({
    **dict.fromkeys(("atexit.register", "weakref.finalize"), _LATER),
    "warnings.warn": _kept("Python's warnings keep each text that is different"),
    **dict.fromkeys(("mailbox.mbox", "mailbox.Maildir", "mailbox.MH", "mailbox.MMDF"), _mailbox),
    "tracemalloc.take_snapshot": lambda it, _: it.memory.new("unknown", of_input=True),
})  # fmt: skip
LAST_NAMES.update({"SubElement": _TREE, "XMLPullParser": lambda it, _: it.memory.new("tree_parser")})
methods_of({"tree_parser"}, _feed)
ANYWHERE.update({
    **dict.fromkeys(
        ("callback", "push_async_callback", "call_later", "call_at", "call_soon", "call_soon_threadsafe", "enterabs"),
        _LATER,
    ),
    "enter": _kept("keeps what it is given until it is called", least=3),  # sched.scheduler
    **dict.fromkeys(("appendChild", "createElement", "createTextNode", "insertBefore"), _TREE),
    **dict.fromkeys(("append", "appendleft", "add", "insert", "extend", "attach", "push"), _TAKEN),
})  # fmt: skip


# Context variables: a value that is set and read from anywhere.


def _variable(it: Expressions, call: Call) -> AbstractValue:
    given = call.kwargs.get("default") or AbstractValue()
    return it.memory.new("variable", parts={"held": given})


def _use_variable(it: Expressions, call: Call) -> AbstractValue | None:
    if call.name == "get":
        return call.owner.parts["held"]
    if call.name != "set" or not call.args:
        return AbstractValue()
    new = call.node.args[0]
    read = f"{text_source(call.node.func).removesuffix('set')}get"
    gets = any(isinstance(node, ast.Call) and text_source(node.func) == read for node in ast.walk(new))
    if gets and it.memory.loops and (call.args[0].of_input or call.args[0].kind in ("text", "list", "tuple")):
        it.memory.cannot_see(call.node, "grows each time, and keeps what it held before")
    call.owner.parts["held"] = call.args[0]
    return it.memory.new("unknown", of_input=call.args[0].of_input)  # a token with the value before


def _cached(it: Expressions, call: Call) -> AbstractValue:
    """`functools.cache(f)`, `lru_cache(maxsize=None)(f)`: the function, and all that it is called with."""
    function = call.args[0] if call.args else AbstractValue()
    most = call.kwargs.get("maxsize") or function
    if "maxsize" in call.kwargs or function.kind in ("number", "none"):
        return AbstractValue(kind="cache_maker", value=most.kind == "none")
    if function.kind != "function":
        it.memory.cannot_see(call.node, "keeps all that it is called with")
        return AbstractValue()
    cache = it.memory.new("dict", value=call.node)
    return AbstractValue(
        kind="function", value=function.value, home=function.home, parts=function.parts | {"kept calls": cache}
    )


def make_cached(it: Expressions, maker: AbstractValue, call: Call) -> AbstractValue:
    """What `lru_cache(maxsize=n)` gives, called with a function."""
    return _cached(it, call) if maker.value and call.args else call.args[0] if call.args else AbstractValue()


def _method_caller(_: Expressions, call: Call) -> AbstractValue:
    """operator.methodcaller("append", line)."""
    parts = {str(number): one for number, one in enumerate(call.args[1:])}
    return AbstractValue(kind="method_caller", value=call.args[0].value if call.args else "", parts=parts)


def _reference(it: Expressions, call: Call) -> AbstractValue:
    """weakref.ref(object, callback): it keeps the callback."""
    kept = call.args[1] if len(call.args) > 1 else AbstractValue()
    return it.memory.new("tuple", parts={"0": kept, **kept.parts}) if kept.kind == "function" else AbstractValue()


FUNCTIONS.update({
    "functools.cache": _cached,
    "functools.lru_cache": _cached,
    "operator.methodcaller": _method_caller,
    "weakref.ref": _reference,
})  # fmt: skip
FUNCTIONS["contextvars.ContextVar"] = _variable
methods_of({"variable"}, _use_variable)


# Memory of a size that is asked for, and files that are memory.


def _sized(place: int, name: str = "") -> Handler:
    """A buffer: as long as the input, as a piece of it, or of a fixed size."""

    def make(it: Expressions, call: Call) -> AbstractValue | None:
        size = call.kwargs.get(name) or (call.args[place] if len(call.args) > place else AbstractValue())
        if size.of_length:
            return it.memory.make("growing-array", call.node, "bytes", min(1.0, size.of_length))
        if size.inner is not None and size.inner.of_input:
            return it.memory.new("chunk", of_input=True)
        if size.kind in ("line", "document", "chunk", "text", "bytes"):  # create_string_buffer(line)
            return it.memory.new(size.kind, of_input=size.of_input, fraction=size.fraction)
        made = it.memory.new("shared")
        if isinstance(size.value, int) and size.value > 0:
            made.fixed = float(size.value)
        return made

    return make


def _anonymous_map(it: Expressions, call: Call) -> AbstractValue | None:
    """mmap.mmap(-1, size): memory and no file."""
    first = call.args[0] if call.args else call.kwargs.get("fileno", AbstractValue())
    if first.value == -1:
        return _sized(1, "length")(it, call)
    return map_file(it, call)


def _spooled(it: Expressions, call: Call) -> AbstractValue:
    """tempfile.SpooledTemporaryFile: in memory up to max_size; without one, all of it."""
    size = call.kwargs.get("max_size") or (call.args[0] if call.args else None)
    mode = call.kwargs.get("mode") or (call.args[1] if len(call.args) > 1 else None)
    kind = "bytebuffer" if mode is None or not isinstance(mode.value, str) or "b" in mode.value else "textbuffer"
    if size is None or size.value == 0:
        return it.memory.new(kind)
    if not isinstance(size.value, int):
        it.memory.cannot_see(call.node, "is in memory up to a size that is not known here")
    elif size.value >= LARGE_LIMIT:
        it.memory.report("growing-text", call.node, "bytes", held=0.0, fixed=float(size.value))
        it.memory.note_peak(fixed=float(size.value), line=call.node.lineno)
    return it.memory.new("file", item=AbstractValue(kind="line", of_input=True))


def _memory_descriptor(it: Expressions, _: Call) -> AbstractValue:
    return it.memory.new("bytebuffer", named="memory")


def _write_descriptor(it: Expressions, call: Call) -> AbstractValue:
    """os.write(descriptor, piece)."""
    if len(call.args) > 1 and call.args[0].kind == "bytebuffer":
        it.memory.grow(call.args[0], call.args[1], call.node, spread=True)
    return AbstractValue(kind="number")


def _file_in_memory(it: Expressions, call: Call) -> AbstractValue:
    """shutil.copy(corpus, "/dev/shm/corpus")."""
    target = call.args[1] if len(call.args) > 1 else AbstractValue()
    if in_memory(target, call.node.args[1] if len(call.node.args) > 1 else None) and not call.args[0].small:
        it.memory.make("memory-file", call.node, "bytes", 1.0, each=call.args[0].kind == "path_of_many")
    return target


def _folder(it: Expressions, call: Call) -> AbstractValue:
    """tempfile.mkdtemp(dir="/dev/shm")."""
    where = next((word.value for word in call.node.keywords if word.arg == "dir"), None)
    given = call.kwargs.get("dir", AbstractValue())
    return it.memory.new("path", named="memory" if in_memory(given, where) else "")


def _temporary(it: Expressions, call: Call) -> AbstractValue:
    """tempfile.NamedTemporaryFile: on a disk, unless its folder is memory."""
    if _folder(it, call).named == "memory":
        return it.memory.new("bytebuffer", named="memory")
    return AbstractValue(kind="output")


FUNCTIONS.update({
    **dict.fromkeys(("ctypes.create_string_buffer", "ctypes.create_unicode_buffer"), _sized(0, "size")),
    **dict.fromkeys(("shared_memory.SharedMemory", "multiprocessing.shared_memory.SharedMemory"), _sized(2, "size")),
    **dict.fromkeys(("multiprocessing.Array", "multiprocessing.RawArray"), _sized(1)),
    "mmap.mmap": _anonymous_map,
    "os.memfd_create": _memory_descriptor,
    **dict.fromkeys(("os.write", "os.pwrite"), _write_descriptor),
    "tempfile.SpooledTemporaryFile": _spooled,
    **dict.fromkeys(("tempfile.mkdtemp", "tempfile.TemporaryDirectory"), _folder),
    **dict.fromkeys(("shutil.copy", "shutil.copyfile", "shutil.copy2", "shutil.copytree", "shutil.move"),
                    _file_in_memory),
    "tempfile.NamedTemporaryFile": _temporary,
})  # fmt: skip
ANYWHERE["SharedMemory"] = _sized(2, "size")  # of a SharedMemoryManager
