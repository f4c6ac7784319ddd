"""Files: opened, read whole or in pieces, listed, mapped; and the JSON and CSV in them."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from oomguard.script_analysis.file_names import is_small_file, path_name
from oomguard.script_analysis.interpreter.values import AbstractValue

if TYPE_CHECKING:
    from oomguard.script_analysis.interpreter.calls import Call, Handler, Methods
    from oomguard.script_analysis.interpreter.expressions import Expressions


def _mode(call: Call, place: int) -> str:
    given = call.kwargs.get("mode") or (call.args[place] if len(call.args) > place else None)
    return given.value if given is not None and isinstance(given.value, str) else ""


def open_file(it: Expressions, call: Call) -> AbstractValue:
    """`open` and its relatives: a file that is read, unless its mode or its name says otherwise."""
    path = call.args[0] if call.args else AbstractValue()
    hints = [path_name(call.node.args[0])] if call.node.args else []
    if isinstance(path.value, str):
        hints.append(path.value.rpartition("/")[2])
    return _opened(it, path, _mode(call, 1), small=is_small_file(*hints, call.hint))


def open_path(it: Expressions, call: Call) -> AbstractValue:
    """Path.open."""
    return _opened(it, call.owner, _mode(call, 0), small=_is_small_path(call))


def read_path(it: Expressions, call: Call) -> AbstractValue:
    """Path.read_text and Path.read_bytes."""
    call.owner.small = call.owner.small or _is_small_path(call)
    return read_whole(it, call.node, call.owner, binary=call.name == "read_bytes")


def _is_small_path(call: Call) -> bool:
    assert isinstance(call.node.func, ast.Attribute)
    return is_small_file(path_name(call.node.func.value), call.hint)


def _opened(it: Expressions, path: AbstractValue, mode: str, *, small: bool) -> AbstractValue:
    if any(letter in mode for letter in "wax+"):
        return AbstractValue(kind="output")
    made = it.memory.new("file", small=path.small or small, item=AbstractValue(kind="line", of_input=True))
    made.value = "binary" if "b" in mode else "text"
    if path.kind == "path_of_many":
        made.parts["many"] = path
    return made


def read_whole(
    it: Expressions, node: ast.AST, file: AbstractValue, *, binary: bool, rule: str = "whole-read"
) -> AbstractValue:
    """All of a file at once; of many files in a folder, one is a document."""
    if file.small:
        return AbstractValue()
    if file.kind == "path_of_many" or "many" in file.parts:
        return it.memory.new("chunk" if binary else "document", of_input=True)
    return it.memory.make(rule, node, "bytes" if binary else "text", 1.0)


def _path(_: Expressions, call: Call) -> AbstractValue:
    if any(argument.kind == "path_of_many" for argument in call.args):
        return AbstractValue(kind="path_of_many")
    return AbstractValue(
        kind="path",
        small=is_small_file(path_name(call.node), call.hint) or any(argument.small for argument in call.args),
    )


def _walk(it: Expressions, _: Call) -> AbstractValue:
    """os.walk: a folder, its folders and its files, again and again."""
    many = AbstractValue(kind="path_of_many")
    several = it.memory.new("paths", fraction=1.0)
    item = AbstractValue(kind="tuple", parts={"0": many, "1": several, "2": several})
    return it.memory.new("stream", fraction=1.0, item=item)


def _listing(it: Expressions, _: Call) -> AbstractValue:
    return it.memory.new("paths", fraction=1.0)


def _file_size(_: Expressions, __: Call) -> AbstractValue:
    return AbstractValue(kind="number", of_length=1.0)


def _map_file(it: Expressions, _: Call) -> AbstractValue:
    return it.memory.new("mapped", fraction=1.0, of_input=True)


def _lines_of(it: Expressions, call: Call) -> AbstractValue:
    """csv.reader and the like: a record for each line of what they are given."""
    source = call.args[0] if call.args else it.memory.new("file")
    if source.small:
        return AbstractValue()
    fraction = 1.0 if source.kind in ("file", "unknown", "parameter", "path", "text", "stream") else source.fraction
    return it.memory.new("stream", fraction=fraction, item=AbstractValue(kind="record", of_input=True), of_input=True)


def _json_load(it: Expressions, call: Call) -> AbstractValue:
    file = call.args[0] if call.args else AbstractValue()
    if file.kind != "file" or file.small or is_small_file(call.hint):
        return AbstractValue()
    return it.memory.make("json-load", call.node, "json", 1.0, each="many" in file.parts)


def _json_loads(it: Expressions, call: Call) -> AbstractValue:
    text = call.args[0] if call.args else AbstractValue()
    if text.fraction > 0 and not is_small_file(call.hint):
        return it.memory.make("json-load", call.node, "json", text.fraction, representation="records")
    return it.memory.new("record", of_input=True) if text.of_input else AbstractValue()


def _file(it: Expressions, call: Call) -> AbstractValue | None:
    binary = call.owner.value == "binary"
    if call.name in ("read", "read1", "readinto"):
        size = call.args[0] if call.args else None
        whole = (
            size is None
            or size.kind == "none"
            or size.of_length == 1.0
            or (isinstance(size.value, int) and size.value < 0)
        )
        if whole and call.name == "read":
            return read_whole(it, call.node, call.owner, binary=binary)
        if call.owner.small:
            return AbstractValue()
        it.memory.advance(call.owner)
        return it.memory.new("chunk" if binary else "document", of_input=True)
    if call.name == "readlines" and not call.args:
        return (
            AbstractValue()
            if call.owner.small
            else it.memory.make("readlines", call.node, "lines", 1.0, each="many" in call.owner.parts)
        )
    if call.name == "readlines":
        it.memory.advance(call.owner)
        return it.memory.new("lines", of_input=True)
    if call.name == "readline":
        it.memory.advance(call.owner)
        return it.memory.new("line", of_input=not call.owner.small)
    return call.owner if call.name in ("detach", "__enter__") else AbstractValue()


def _mapped(it: Expressions, call: Call) -> AbstractValue | None:
    if call.name == "read" and not call.args:
        return it.memory.make("whole-read", call.node, "bytes", 1.0)
    if call.name in ("read", "readline"):
        it.memory.advance(call.owner)
        return it.memory.new("line", of_input=True)
    return AbstractValue()


def _record(it: Expressions, call: Call) -> AbstractValue | None:
    if call.owner.kind == "json":
        return call.owner
    return it.memory.new("document", of_input=True) if call.name in ("get", "pop") else AbstractValue(of_input=True)


FUNCTIONS: dict[str, Handler] = {
    **dict.fromkeys(
        ("builtins.open", "io.open", "codecs.open", "gzip.open", "bz2.open", "lzma.open", "smart_open.open",
         "fsspec.open", "zstandard.open", "xopen.xopen", "aiofiles.open", "bz2.BZ2File", "gzip.GzipFile",
         "lzma.LZMAFile"), open_file,
    ),
    **dict.fromkeys(
        ("pathlib.Path", "pathlib.PurePath", "os.path.join", "os.path.abspath", "os.path.expanduser"), _path
    ),
    **dict.fromkeys(("glob.glob", "glob.iglob", "os.listdir", "os.scandir"), _listing),
    **dict.fromkeys(("json.load", "ujson.load", "simplejson.load"), _json_load),
    **dict.fromkeys(("json.loads", "orjson.loads", "ujson.loads", "simplejson.loads"), _json_loads),
    **dict.fromkeys(
        ("csv.reader", "csv.DictReader", "jsonlines.open", "jsonlines.Reader", "ijson.items", "ijson.kvitems",
         "fileinput.input"), _lines_of,
    ),
    "os.walk": _walk,
    "os.path.getsize": _file_size,
    "mmap.mmap": _map_file,
}  # fmt: skip
METHODS: Methods = (
    (frozenset({"file"}), _file),
    (frozenset({"mapped"}), _mapped),
    (frozenset({"record", "json"}), _record),
)
