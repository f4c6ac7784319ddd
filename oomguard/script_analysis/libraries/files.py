"""Files: opened, read whole or in pieces, listed, mapped; and the JSON and CSV in them."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from oomguard.script_analysis.file_names import is_small_file, path_name
from oomguard.script_analysis.interpreter.values import Thing

if TYPE_CHECKING:
    from oomguard.script_analysis.interpreter.calls import Call, Handler, Methods
    from oomguard.script_analysis.interpreter.expressions import Expressions


def _mode(call: Call, place: int) -> str:
    given = call.kwargs.get("mode") or (call.args[place] if len(call.args) > place else None)
    return given.value if given is not None and isinstance(given.value, str) else ""


def open_file(it: Expressions, call: Call) -> Thing:
    """`open` and its relatives: a file that is read, unless its mode or its name says otherwise."""
    path = call.args[0] if call.args else Thing()
    hints = [path_name(call.node.args[0])] if call.node.args else []
    if isinstance(path.value, str):
        hints.append(path.value.rpartition("/")[2])
    return _opened(it, path, _mode(call, 1), small=is_small_file(*hints, call.hint))


def open_path(it: Expressions, call: Call) -> Thing:
    """Path.open."""
    return _opened(it, call.owner, _mode(call, 0), small=_is_small_path(call))


def read_path(it: Expressions, call: Call) -> Thing:
    """Path.read_text and Path.read_bytes."""
    call.owner.small = call.owner.small or _is_small_path(call)
    return read_whole(it, call.node, call.owner, binary=call.name == "read_bytes")


def _is_small_path(call: Call) -> bool:
    assert isinstance(call.node.func, ast.Attribute)
    return is_small_file(path_name(call.node.func.value), call.hint)


def _opened(it: Expressions, path: Thing, mode: str, *, small: bool) -> Thing:
    if any(letter in mode for letter in "wax+"):
        return Thing(sort="output")
    made = it.ledger.new("file", small=path.small or small, item=Thing(sort="line", of_input=True))
    made.value = "binary" if "b" in mode else "text"
    if path.sort == "path_of_many":
        made.parts["many"] = path
    return made


def read_whole(it: Expressions, node: ast.AST, file: Thing, *, binary: bool, rule: str = "whole-read") -> Thing:
    """All of a file at once; of many files in a folder, one is a document."""
    if file.small:
        return Thing()
    if file.sort == "path_of_many" or "many" in file.parts:
        return it.ledger.new("chunk" if binary else "document", of_input=True)
    return it.ledger.make(rule, node, "bytes" if binary else "text", 1.0)


def _path(_: Expressions, call: Call) -> Thing:
    if any(argument.sort == "path_of_many" for argument in call.args):
        return Thing(sort="path_of_many")
    return Thing(
        sort="path",
        small=is_small_file(path_name(call.node), call.hint) or any(argument.small for argument in call.args),
    )


def _walk(it: Expressions, _: Call) -> Thing:
    """os.walk: a folder, its folders and its files, again and again."""
    many = Thing(sort="path_of_many")
    several = it.ledger.new("paths", share=1.0)
    item = Thing(sort="tuple", parts={"0": many, "1": several, "2": several})
    return it.ledger.new("stream", share=1.0, item=item)


def _listing(it: Expressions, _: Call) -> Thing:
    return it.ledger.new("paths", share=1.0)


def _file_size(_: Expressions, __: Call) -> Thing:
    return Thing(sort="number", fraction=1.0)


def _map_file(it: Expressions, _: Call) -> Thing:
    return it.ledger.new("mapped", share=1.0, of_input=True)


def _lines_of(it: Expressions, call: Call) -> Thing:
    """csv.reader and the like: a record for each line of what they are given."""
    source = call.args[0] if call.args else it.ledger.new("file")
    if source.small:
        return Thing()
    share = 1.0 if source.sort in ("file", "unknown", "parameter", "path", "text", "stream") else source.share
    return it.ledger.new("stream", share=share, item=Thing(sort="record", of_input=True), of_input=True)


def _json_load(it: Expressions, call: Call) -> Thing:
    file = call.args[0] if call.args else Thing()
    if file.sort != "file" or file.small or is_small_file(call.hint):
        return Thing()
    return it.ledger.make("json-load", call.node, "json", 1.0, each="many" in file.parts)


def _json_loads(it: Expressions, call: Call) -> Thing:
    text = call.args[0] if call.args else Thing()
    if text.share > 0 and not is_small_file(call.hint):
        return it.ledger.make("json-load", call.node, "json", text.share, way="records")
    return it.ledger.new("record", of_input=True) if text.of_input else Thing()


def _file(it: Expressions, call: Call) -> Thing | None:
    binary = call.owner.value == "binary"
    if call.name in ("read", "read1", "readinto"):
        size = call.args[0] if call.args else None
        whole = (
            size is None
            or size.sort == "none"
            or size.fraction == 1.0
            or (isinstance(size.value, int) and size.value < 0)
        )
        if whole and call.name == "read":
            return read_whole(it, call.node, call.owner, binary=binary)
        if call.owner.small:
            return Thing()
        it.ledger.went_on(call.owner)
        return it.ledger.new("chunk" if binary else "document", of_input=True)
    if call.name == "readlines" and not call.args:
        return (
            Thing()
            if call.owner.small
            else it.ledger.make("readlines", call.node, "lines", 1.0, each="many" in call.owner.parts)
        )
    if call.name == "readlines":
        it.ledger.went_on(call.owner)
        return it.ledger.new("lines", of_input=True)
    if call.name == "readline":
        it.ledger.went_on(call.owner)
        return it.ledger.new("line", of_input=not call.owner.small)
    return call.owner if call.name in ("detach", "__enter__") else Thing()


def _mapped(it: Expressions, call: Call) -> Thing | None:
    if call.name == "read" and not call.args:
        return it.ledger.make("whole-read", call.node, "bytes", 1.0)
    if call.name in ("read", "readline"):
        it.ledger.went_on(call.owner)
        return it.ledger.new("line", of_input=True)
    return Thing()


def _record(it: Expressions, call: Call) -> Thing | None:
    if call.owner.sort == "json":
        return call.owner
    return it.ledger.new("document", of_input=True) if call.name in ("get", "pop") else Thing(of_input=True)


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
