"""What is in files: JSON, pickles, XML, CSV, archives; read whole, or record by record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.script_analysis.file_names import is_named_settings, is_short_key, is_small_file, path_name
from oomguard.script_analysis.interpreter.calls import ANYWHERE, FUNCTIONS, methods_of
from oomguard.script_analysis.interpreter.values import LIST_OF, TEXTS, AbstractValue, text_source
from oomguard.script_analysis.libraries.files import open_mode
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
    return it.memory.make("object-load", call.node, "json", 1.0, each=each, representation="records")


_WORDS_OF_SETTINGS = "its name does not say that these are settings, and they are read whole"


def _load_document(it: Expressions, call: Call) -> AbstractValue:
    """yaml.safe_load, tomllib.load, plistlib.load: all of a file as objects; most such files are settings."""
    given = call.args[0] if call.args else AbstractValue()
    hints = [given.named, call.hint, path_name(call.node.args[0]) if call.node.args else ""]
    if is_named_settings(*hints):
        it.memory.assume_small(call.node)
        return AbstractValue()
    if given.kind == "file" and not given.small:
        it.memory.read_at(call.node)
        return it.memory.make("object-load", call.node, "json", 1.0, each="many" in given.parts)
    if given.fraction > 0:
        return it.memory.make("object-load", call.node, "json", given.fraction, each=given.each)
    if given.kind in ("file", "unknown"):
        it.memory.cannot_see(call.node, _WORDS_OF_SETTINGS)
    return it.memory.new("record", of_input=given.of_input)


def _load_documents(it: Expressions, call: Call) -> AbstractValue:
    """yaml.safe_load_all: one document after the other."""
    given = call.args[0] if call.args else AbstractValue()
    if given.small or given.kind not in ("file", "stream"):
        return _load_document(it, call)
    it.memory.read_at(call.node)
    return it.memory.new("stream", fraction=1.0, of_input=True, item=AbstractValue(kind="record", of_input=True))


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


def _records_of(it: Expressions, call: Call) -> AbstractValue:
    """Warcio's ArchiveIterator: one record after the other."""
    it.memory.read_at(call.node)
    return it.memory.new("stream", fraction=1.0, of_input=True, item=it.memory.new("unknown", of_input=True))


def _parse_events(it: Expressions, _: Call) -> AbstractValue:
    """iterparse: an element at a time, which stays in the tree unless it is cleared."""
    element = AbstractValue(kind="record", of_input=True)
    item = AbstractValue(kind="tuple", of_input=True, parts={"0": AbstractValue(kind="text"), "1": element})
    return it.memory.new("stream", fraction=1.0, of_input=True, value="iterparse", item=item)


def _dump(it: Expressions, call: Call) -> AbstractValue:
    """json.dumps, pickle.dumps: everything once more, as one text."""
    what = call.args[0] if call.args else AbstractValue()
    kind = "text" if call.node.func and "json" in text_source(call.node.func) else "bytes"
    if what.fraction > 0 and what.kind not in ("paths", "stream"):
        return it.memory.make("join-all", call.node, kind, what.fraction, each=what.each)
    return it.memory.new("document", of_input=what.of_input)


def _archive(it: Expressions, call: Call) -> AbstractValue:
    """A tar or zip file: its members are many files."""
    if any(letter in open_mode(call, 1) for letter in "wax"):
        given = [*call.args[:1], *(call.kwargs[name] for name in ("fileobj", "file") if name in call.kwargs)]
        members = it.memory.new("list")
        written = it.memory.new("archive_output", parts={"members": members})
        return next((one for one in given if one.kind == "bytebuffer"), written)
    return it.memory.new("archive", fraction=1.0, item=AbstractValue(kind="path_of_many"))


def _written_member(it: Expressions, call: Call) -> AbstractValue | None:
    """TarFile.addfile, ZipFile.writestr: what is written goes to the file, and what is said of it stays until close."""
    if call.name in ("add", "addfile", "writestr", "write", "mkdir", "open"):
        entry = it.memory.new("member", item=AbstractValue(kind="value", of_input=True))
        it.memory.grow(call.owner.parts["members"], entry, call.node, spread=False)
    if call.name == "open":
        return AbstractValue(kind="output")
    return call.owner if call.name == "__enter__" else AbstractValue()


def _member(it: Expressions, call: Call) -> AbstractValue:
    member = call.args[0] if call.args else AbstractValue()
    several = bool(it.memory.loops) or member.kind not in ("text", "path")
    if call.name in ("extractfile", "open"):
        made = it.memory.new("file", value="binary", item=AbstractValue(kind="line", of_input=True))
        made.small = isinstance(member.value, str) and is_small_file(member.value, call.hint)
        if several:
            made.parts["many"] = AbstractValue(kind="path_of_many")
        return made
    if call.name == "read" and isinstance(member.value, str) and is_small_file(member.value, call.hint):
        it.memory.assume_small(call.node)
        return AbstractValue()
    if call.name == "read" and not several:  # the one file that is in it
        return it.memory.make("whole-read", call.node, "bytes", 1.0)
    if call.name == "read":
        it.memory.assume(call.node, "each of the files is read whole, so the largest must fit")
        return it.memory.new("chunk", of_input=True)
    if call.name in ("getmembers", "getnames", "namelist", "infolist"):
        return it.memory.new("paths", fraction=1.0)
    return call.owner if call.name == "__enter__" else AbstractValue()


def _json_load(it: Expressions, call: Call) -> AbstractValue:
    file = call.args[0] if call.args else AbstractValue()
    named = is_small_file(call.hint) or file.small
    if file.kind in ("stream", "response", "download", "bytebuffer", "textbuffer") and not named:
        return it.memory.make("json-load", call.node, "json", 1.0, each=file.each)
    if file.kind != "file" or named:
        if file.kind == "file":
            it.memory.assume_small(call.node)
        elif file.kind == "unknown" and not named and not is_small_file(*map(path_name, call.node.args[:1])):
            it.memory.cannot_see(call.node, "reads all of a file; which one cannot be seen here")
        return AbstractValue()
    return it.memory.make("json-load", call.node, "json", 1.0, each="many" in file.parts)


def _json_loads(it: Expressions, call: Call) -> AbstractValue:
    text = call.args[0] if call.args else AbstractValue()
    if text.fraction > 0 and not is_small_file(call.hint):
        return it.memory.make("json-load", call.node, "json", text.fraction, representation="records", each=text.each)
    if text.kind == "line":
        it.memory.lines_are_documents()
    return it.memory.new("record", of_input=True) if text.of_input else AbstractValue()


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


FUNCTIONS.update({
    **dict.fromkeys(
        ("pickle.load", "torch.load", "joblib.load", "dill.load", "cloudpickle.load", "marshal.load", "msgpack.load",
         "msgpack.unpack", "pandas.read_pickle", "cPickle.load"), _load_objects,
    ),
    **dict.fromkeys(
        ("xml.etree.ElementTree.parse", "xml.etree.cElementTree.parse", "lxml.etree.parse", "etree.parse",
         "ElementTree.parse", "xml.dom.minidom.parse", "bs4.BeautifulSoup", "xmltodict.parse", "minidom.parse",
         "lxml.html.parse", "html.parse", "ElementTree.fromstring", "etree.fromstring", "html.fromstring",
         "lxml.html.fromstring", "ElementTree.XML", "minidom.parseString", "html5lib.parse", "selectolax.HTMLParser",
         "parser.HTMLParser", "ET.parse", "ET.fromstring"),
        _parse_tree,
    ),
    **dict.fromkeys(
        ("yaml.safe_load", "yaml.load", "yaml.full_load", "yaml.unsafe_load", "toml.load", "tomllib.load", "tomli.load",
         "plistlib.load", "yaml.round_trip_load", "toml.loads", "tomllib.loads", "tomli.loads", "plistlib.loads",
         "hjson.load", "json5.load"), _load_document,
    ),
    **dict.fromkeys(("yaml.safe_load_all", "yaml.load_all", "yaml.full_load_all"), _load_documents),
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
         "fileinput.input", "msgpack.Unpacker", "fastavro.reader"), _lines_of,
    ),
    "archiveiterator.ArchiveIterator": _records_of,
    "warc.ArchiveIterator": _records_of,
})  # fmt: skip
methods_of({"archive"}, _member)
methods_of({"archive_output"}, _written_member)
methods_of({"record", "json"}, _record)


# Texts: split, joined, copied.


_TAKES_IN = frozenset({"append", "add", "extend", "insert", "appendleft", "setdefault"})


def _text(it: Expressions, call: Call) -> AbstractValue | None:
    if call.owner.named == "handed" and call.name in _TAKES_IN:
        kept = any(one.kind != "number" and not one.is_constant for one in call.args)
        if kept and not any(line == call.node.lineno for line, _ in it.memory.findings):
            it.memory.cannot_see(call.node, "keeps what it is given; how often it is called is not known")
        return AbstractValue()
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
    if not hasattr(str, call.name) and not hasattr(bytearray, call.name):  # it is no text after all
        return _of_caller(it, call) if call.owner.named == "handed" else it.memory.new("document", of_input=True)
    return AbstractValue(kind="number")


def _of_caller(it: Expressions, call: Call) -> AbstractValue:
    """What an object gives that somebody hands over: a request, a reader, a record."""
    every = not call.args or call.args[0].value == -1
    if call.name == "read" and every:
        it.memory.cannot_see(call.node, "reads all that is sent, at once")
    if call.name.startswith(("read", "recv", "get_payload")):
        it.memory.advance(call.owner)
    return it.memory.new("document", of_input=True, named="handed")


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
