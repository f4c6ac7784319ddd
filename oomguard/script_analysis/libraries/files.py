"""Files: opened, read whole or in pieces, listed, mapped; and the JSON and CSV in them."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from oomguard.script_analysis.file_names import is_short_key, is_small_file, path_name
from oomguard.script_analysis.interpreter.values import AbstractValue, text_source
from oomguard.script_analysis.libraries.texts import TEXT_METHODS

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
    small = path.small or small
    made = it.memory.new("file", small=small, item=AbstractValue(kind="line", of_input=not small))
    made.value = "binary" if "b" in mode else "text"
    if path.kind == "path_of_many" or path.of_input:
        made.parts["many"] = path
    return made


def read_whole(
    it: Expressions, node: ast.AST, file: AbstractValue, *, binary: bool, rule: str = "whole-read"
) -> AbstractValue:
    """All of a file at once; of many files in a folder, one is a document."""
    if file.small:
        it.memory.assume_small(node)
        return AbstractValue()
    it.memory.read_at(node)
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


def _read_descriptor(it: Expressions, call: Call) -> AbstractValue:
    it.memory.advance(call.args[0] if call.args else AbstractValue())
    it.memory.read_at(call.node)
    return it.memory.new("chunk", of_input=True)


def _file_size(_: Expressions, __: Call) -> AbstractValue:
    return AbstractValue(kind="number", of_length=1.0)


def _map_file(it: Expressions, call: Call) -> AbstractValue:
    it.memory.read_at(call.node)
    return it.memory.new("mapped", fraction=1.0, of_input=True)


def _lines_of(it: Expressions, call: Call) -> AbstractValue:
    """csv.reader and the like: a record for each line of what they are given."""
    source = call.args[0] if call.args else it.memory.new("file")
    if source.small:
        return AbstractValue()
    fraction = 1.0 if source.kind in ("file", "unknown", "parameter", "path", "text", "stream") else source.fraction
    kind = "line" if text_source(call.node.func).endswith("fileinput.input") else "record"
    return it.memory.new("stream", fraction=fraction, item=AbstractValue(kind=kind, of_input=True), of_input=True)


def _load_objects(it: Expressions, call: Call) -> AbstractValue:
    """pickle.load, torch.load and the like: every object of a file; in a loop over an open file, the next one."""
    file = call.args[0] if call.args else AbstractValue()
    named = is_small_file(path_name(call.node.args[0]), call.hint) if call.node.args else True
    if file.small or named or file.kind in ("parameter", "chunk", "bytebuffer"):
        if call.args and file.kind not in ("parameter", "chunk", "bytebuffer"):
            it.memory.assume_small(call.node)
        return AbstractValue()
    if file.kind == "file" and any(loop.number not in file.born for loop in it.memory.loops):
        it.memory.advance(file)
        return it.memory.new("record", of_input=True)
    it.memory.read_at(call.node)
    each = file.kind == "path_of_many" or "many" in file.parts
    return it.memory.make("object-load", call.node, "json", 1.0, each=each)


def _parse_tree(it: Expressions, call: Call) -> AbstractValue:
    """xml.etree, lxml, minidom, BeautifulSoup: a tree of all elements."""
    source = call.args[0] if call.args else AbstractValue()
    if (
        source.small
        or source.kind == "parameter"
        or (source.of_input and source.fraction <= 0 and source.kind != "file")
    ):
        return it.memory.new("record", of_input=source.of_input)
    it.memory.read_at(call.node)
    each = source.kind == "path_of_many" or "many" in source.parts
    return it.memory.make("object-load", call.node, "tree", 1.0, each=each)


def _parse_events(it: Expressions, _: Call) -> AbstractValue:
    """iterparse: an element at a time, which stays in the tree unless it is cleared."""
    return it.memory.new(
        "stream", fraction=1.0, of_input=True, value="iterparse", item=AbstractValue(kind="record", of_input=True)
    )


def _dump(it: Expressions, call: Call) -> AbstractValue:
    """json.dumps, pickle.dumps: everything once more, as one text."""
    what = call.args[0] if call.args else AbstractValue()
    kind = "text" if call.node.func and "json" in text_source(call.node.func) else "bytes"
    if what.fraction > 0 and what.kind not in ("paths", "stream"):
        return it.memory.make("join-all", call.node, kind, what.fraction, each=what.each)
    return it.memory.new("document", of_input=what.of_input)


def _archive(it: Expressions, call: Call) -> AbstractValue:
    """A tar or zip file: its members are many files."""
    if any(letter in _mode(call, 1) for letter in "wax"):
        return AbstractValue(kind="output")
    return it.memory.new("archive", fraction=1.0, item=AbstractValue(kind="path_of_many"))


def _member(it: Expressions, call: Call) -> AbstractValue:
    if call.name in ("extractfile", "open"):
        made = it.memory.new("file", item=AbstractValue(kind="line", of_input=True))
        made.parts["many"] = AbstractValue(kind="path_of_many")
        return made
    if call.name == "read":
        return it.memory.new("chunk", of_input=True)
    if call.name in ("getmembers", "getnames", "namelist", "infolist"):
        return it.memory.new("paths", fraction=1.0)
    return call.owner if call.name == "__enter__" else AbstractValue()


def _json_load(it: Expressions, call: Call) -> AbstractValue:
    file = call.args[0] if call.args else AbstractValue()
    if file.kind != "file" or file.small or is_small_file(call.hint):
        if file.kind == "file":
            it.memory.assume_small(call.node)
        return AbstractValue()
    return it.memory.make("json-load", call.node, "json", 1.0, each="many" in file.parts)


def _json_loads(it: Expressions, call: Call) -> AbstractValue:
    text = call.args[0] if call.args else AbstractValue()
    if text.fraction > 0 and not is_small_file(call.hint):
        return it.memory.make("json-load", call.node, "json", text.fraction, representation="records", each=text.each)
    if text.kind == "line":
        it.memory.lines_are_documents()
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
        it.memory.read_at(call.node)
        return it.memory.new("chunk" if binary else "document", of_input=True)
    if call.name == "readlines" and not call.args:
        return _all_lines(it, call)
    if call.name == "readlines":
        it.memory.advance(call.owner)
        return it.memory.new("lines", of_input=True)
    if call.name == "readline":
        it.memory.advance(call.owner, lines=True)
        it.memory.read_at(call.node)
        return it.memory.new("line", of_input=not call.owner.small)
    return call.owner if call.name in ("detach", "__enter__") else AbstractValue()


def _all_lines(it: Expressions, call: Call) -> AbstractValue:
    if call.owner.small:
        it.memory.assume_small(call.node)
        return AbstractValue()
    it.memory.read_at(call.node)
    return it.memory.make("readlines", call.node, "lines", 1.0, each="many" in call.owner.parts)


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
    if call.name in ("get", "pop"):
        key = call.args[0].value if call.args else None
        return it.memory.new("digest" if isinstance(key, str) and is_short_key(key) else "document", of_input=True)
    if call.name in ("keys", "values"):
        return it.memory.new("values", of_input=True, item=AbstractValue(kind="value", of_input=True))
    if call.name == "items":
        value = AbstractValue(kind="value", of_input=True)
        pair = AbstractValue(kind="tuple", of_input=True, parts={"0": value, "1": value})
        return it.memory.new("values", of_input=True, item=pair)
    if call.name in TEXT_METHODS:  # an element of a JSON array is a text as well as an object
        return it.memory.new("document", of_input=True)
    if call.name in ("copy", "to_dict", "as_py", "to_pydict"):
        return it.memory.new("record", of_input=True)
    return AbstractValue(of_input=True)


FUNCTIONS: dict[str, Handler] = {
    **dict.fromkeys(
        ("builtins.open", "io.open", "codecs.open", "gzip.open", "bz2.open", "lzma.open", "smart_open.open",
         "tensorflow.io.gfile.GFile", "tf.io.gfile.GFile", "gfile.GFile", "gfile.Open", "io.gfile.GFile",
         "fsspec.open", "urllib.request.urlopen", "pgzip.open", "indexed_gzip.open", "igzip.open",
         "zstandard.open", "xopen.xopen", "aiofiles.open", "bz2.BZ2File", "gzip.GzipFile",
         "lzma.LZMAFile"), open_file,
    ),
    **dict.fromkeys(
        ("pathlib.Path", "pathlib.PurePath", "os.path.join", "os.path.abspath", "os.path.expanduser"), _path
    ),
    **dict.fromkeys(("glob.glob", "glob.iglob", "os.listdir", "os.scandir"), _listing),
    **dict.fromkeys(
        ("pickle.load", "torch.load", "joblib.load", "dill.load", "cloudpickle.load", "marshal.load", "msgpack.load",
         "msgpack.unpack", "pandas.read_pickle", "cPickle.load"), _load_objects,
    ),
    **dict.fromkeys(
        ("xml.etree.ElementTree.parse", "xml.etree.cElementTree.parse", "lxml.etree.parse", "etree.parse",
         "ElementTree.parse", "xml.dom.minidom.parse", "bs4.BeautifulSoup", "xmltodict.parse", "minidom.parse"),
        _parse_tree,
    ),
    **dict.fromkeys(("ElementTree.iterparse", "etree.iterparse", "xml.etree.ElementTree.iterparse"), _parse_events),
    **dict.fromkeys(
        ("json.dumps", "pickle.dumps", "ujson.dumps", "orjson.dumps", "marshal.dumps", "msgpack.packb", "dill.dumps"),
        _dump,
    ),
    **dict.fromkeys(("tarfile.open", "tarfile.TarFile", "zipfile.ZipFile"), _archive),
    **dict.fromkeys(("json.load", "ujson.load", "simplejson.load"), _json_load),
    **dict.fromkeys(("json.loads", "orjson.loads", "ujson.loads", "simplejson.loads"), _json_loads),
    **dict.fromkeys(
        ("csv.reader", "csv.DictReader", "jsonlines.open", "jsonlines.Reader", "ijson.items", "ijson.kvitems",
         "fileinput.input"), _lines_of,
    ),
    "os.walk": _walk,
    **dict.fromkeys(("os.read", "os.pread"), _read_descriptor),
    "os.path.getsize": _file_size,
    "mmap.mmap": _map_file,
}  # fmt: skip
METHODS: Methods = (
    (frozenset({"file"}), _file),
    (frozenset({"archive"}), _member),
    (frozenset({"mapped"}), _mapped),
    (frozenset({"record", "json"}), _record),
)
