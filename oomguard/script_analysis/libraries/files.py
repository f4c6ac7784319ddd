"""Files: opened, read whole or in pieces, listed, mapped."""

from __future__ import annotations

import ast
import re
import sys
from typing import TYPE_CHECKING

from oomguard.script_analysis.file_names import is_in_memory, is_outside, is_small_file, path_name
from oomguard.script_analysis.interpreter.calls import ANYWHERE, FUNCTIONS, LAST_NAMES, methods_of
from oomguard.script_analysis.interpreter.values import AbstractValue, text_source

if TYPE_CHECKING:
    from oomguard.script_analysis.interpreter.calls import Call
    from oomguard.script_analysis.interpreter.expressions import Expressions


def open_mode(call: Call, place: int) -> str:
    """Give the mode that a file is opened with, as far as it stands there."""
    given = call.kwargs.get("mode") or (call.args[place] if len(call.args) > place else None)
    return given.value if given is not None and isinstance(given.value, str) else ""


def open_file(it: Expressions, call: Call) -> AbstractValue:
    """`open` and its relatives: a file that is read, unless its mode or its name says otherwise."""
    path = call.args[0] if call.args else call.kwargs.get("fileobj", AbstractValue())
    hints = [path_name(call.node.args[0])] if call.node.args else []
    if isinstance(path.value, str):
        hints.append(path.value.rpartition("/")[2])
    memory = in_memory(path, call.node.args[0] if call.node.args else None)
    made = _opened(it, path, open_mode(call, 1), small=is_small_file(*hints, call.hint), memory=memory)
    if made.kind == "bytebuffer":
        return made
    made.named = " ".join((*hints, call.hint))
    if "t" not in open_mode(call, 1) and _gives_bytes(call.node):
        made.value = "binary"
    return made


# What gives bytes where no mode is given.
_BINARY = frozenset({"urlopen", "BZ2File", "GzipFile", "LZMAFile"})


def _gives_bytes(node: ast.Call) -> bool:
    name = text_source(node.func)
    return name.rpartition(".")[2] in _BINARY or name in (
        "gzip.open", "bz2.open", "lzma.open", "pgzip.open", "igzip.open", "fsspec.open",
    )  # fmt: skip


def _open_by_library(it: Expressions, call: Call) -> AbstractValue | None:
    """The `open` of a compression or storage library that is known: lz4.frame.open, zstandard.open."""
    if is_outside(call.name) or call.name.partition(".")[0] in sys.stdlib_module_names:
        return None
    return open_file(it, call)


def open_path(it: Expressions, call: Call) -> AbstractValue:
    """Path.open."""
    assert isinstance(call.node.func, ast.Attribute)
    memory = in_memory(call.owner, call.node.func.value)
    return _opened(it, call.owner, open_mode(call, 0), small=_is_small_path(call), memory=memory)


def read_path(it: Expressions, call: Call) -> AbstractValue:
    """Path.read_text and Path.read_bytes."""
    call.owner.small = call.owner.small or _is_small_path(call)
    return read_whole(it, call.node, call.owner, binary=call.name == "read_bytes")


def _is_small_path(call: Call) -> bool:
    assert isinstance(call.node.func, ast.Attribute)
    return is_small_file(path_name(call.node.func.value), call.hint)


def in_memory(path: AbstractValue, node: ast.AST | None) -> bool:
    """Whether files with this path are memory."""
    return path.named == "memory" or is_in_memory(path.value) or is_in_memory(text_source(node))


def _opened(it: Expressions, path: AbstractValue, mode: str, *, small: bool, memory: bool = False) -> AbstractValue:
    if any(letter in mode for letter in "wax+"):
        if memory and not small and "+" not in mode:
            made = it.memory.new("bytebuffer", named="memory")
            made.born = ()  # it stays when it is closed
            return made
        return path if path.kind in ("bytebuffer", "textbuffer") else AbstractValue(kind="output")
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
        it.memory.assume(node, "each of the files is read whole, so the largest must fit")
        return it.memory.new("chunk" if binary else "document", of_input=True)
    return it.memory.make(rule, node, "bytes" if binary else "text", 1.0)


def _path(_: Expressions, call: Call) -> AbstractValue:
    if any(argument.kind == "path_of_many" for argument in call.args):
        return AbstractValue(kind="path_of_many")
    return AbstractValue(
        kind="path",
        small=is_small_file(path_name(call.node), call.hint) or any(argument.small for argument in call.args),
        named="memory" if any(in_memory(argument, None) for argument in call.args) else "",
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


def map_file(it: Expressions, call: Call) -> AbstractValue:
    """mmap.mmap of a file: pages that the kernel can take back."""
    it.memory.read_at(call.node)
    return it.memory.new("mapped", fraction=1.0, of_input=True)


def _pipe(it: Expressions, call: Call) -> AbstractValue | None:
    """`nlp.pipe(texts)`: a document for each text, as they are asked for."""
    source = it.iterated(call.args[0]) if call.args else AbstractValue()
    if source.fraction <= 0 or call.owner.kind not in ("unknown", "parameter"):
        return None
    item = it.memory.new("record", of_input=True)
    return it.memory.new("stream", fraction=source.fraction, item=item, of_input=True, parts={"of": source})


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
    if call.name in ("iter_lines", "iter_chunks", "iter_content", "iter_bytes"):
        return _download(it, call)
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


_PATHS = ("path", "unknown", "parameter", "path_of_many")  # what may be a path, as far as anybody knows


def _list_folder(it: Expressions, call: Call) -> AbstractValue | None:
    return it.memory.new("paths", fraction=1.0) if call.owner.kind in (*_PATHS, "module") else None


def _open(it: Expressions, call: Call) -> AbstractValue | None:
    """`path.open("rb")`, `filesystem.open("bucket/in.txt", "rb")`."""
    if call.owner.kind not in _PATHS:
        return None
    first = call.args[0].value if call.args else "r"
    is_mode = isinstance(first, str) and re.fullmatch(r"[rwaxbtU+]{1,4}", first) is not None
    return open_path(it, call) if is_mode else open_file(it, call)


def _foreign_line(it: Expressions, call: Call) -> AbstractValue | None:
    """`reader.readline()` of an object that nobody knows: an input all the same."""
    if call.owner.kind not in ("unknown", "parameter", "object"):
        return None
    it.memory.advance(call.owner, lines=True)
    it.memory.read_at(call.node)
    return it.memory.new("line", of_input=True)


def _received(it: Expressions, call: Call) -> AbstractValue | None:
    """`socket.recv(4096)`, `pipe.recv()`: a piece of what is sent."""
    if call.owner.kind not in ("unknown", "parameter", "object"):
        return None
    it.memory.advance(call.owner)
    it.memory.read_at(call.node)
    return it.memory.new("chunk" if call.args else "document", of_input=True)


def _foreign_whole(it: Expressions, call: Call) -> AbstractValue | None:
    if call.owner.kind != "unknown" or call.owner.small or call.args or not call.owner.origin:
        return None
    it.memory.read_at(call.node)
    if call.owner.of_input:
        return it.memory.new("document", of_input=True)
    return it.memory.make("whole-read", call.node, "text", 1.0)


def _foreign_lines(it: Expressions, call: Call) -> AbstractValue | None:
    if call.owner.kind != "unknown" or call.owner.small or call.args or not call.owner.origin:
        return None
    it.memory.read_at(call.node)
    return it.memory.make("readlines", call.node, "lines", 1.0)


def _fetched(it: Expressions, call: Call) -> AbstractValue | None:
    """`filesystem.cat(path)`: all of a file."""
    if call.owner.kind not in ("unknown", "parameter") or not call.args or call.args[0].kind == "number":
        return None
    path = call.args[0]
    many = bool(it.memory.loops) or path.kind == "path_of_many"
    return it.memory.new("chunk", of_input=True) if many else it.memory.make("whole-read", call.node, "bytes", 1.0)


def _into_buffer(it: Expressions, call: Call) -> AbstractValue | None:
    """`client.download_fileobj(bucket, key, buffer)`: a buffer that is filled."""
    if not it.memory.loops and any(one.kind in ("bytebuffer", "textbuffer") for one in call.args):
        it.memory.cannot_see(call.node, "what is put into the buffer is whole in memory")
    return None


def _copy_file(it: Expressions, call: Call) -> AbstractValue:
    """shutil.copyfileobj(source, target): a piece at a time, but all of it where the target is in memory."""
    if len(call.args) > 1 and call.args[1].kind in ("bytebuffer", "textbuffer") and not call.args[0].small:
        it.memory.make("growing-text", call.node, "bytes", 1.0, each="many" in call.args[0].parts)
    it.memory.read_at(call.node)
    return AbstractValue()


def _shelf(it: Expressions, call: Call) -> AbstractValue:
    """shelve.open(): on disk, but with writeback all that was touched stays in memory."""
    kept = call.kwargs.get("writeback")
    if kept is not None and kept.value:
        it.memory.cannot_see(call.node, "with writeback=True all that was touched stays in memory until sync()")
    return AbstractValue(kind="output")


def _blob(it: Expressions, call: Call) -> AbstractValue | None:
    """`blob.download_as_text()`, `client.download_blob().readall()`: a whole object of a store on the network."""
    if call.owner.kind not in ("unknown", "parameter", "path_of_many"):
        return None
    text = call.name.endswith(("text", "string"))
    if it.memory.loops:  # one of many
        return it.memory.new("document" if text else "chunk", of_input=True)
    it.memory.read_at(call.node)
    return it.memory.make("whole-read", call.node, "text" if text else "bytes", 1.0)


def _download(it: Expressions, call: Call) -> AbstractValue:
    item = AbstractValue(kind="line" if call.name == "iter_lines" else "chunk", of_input=True)
    return it.memory.new("stream", fraction=1.0, item=item)


FUNCTIONS.update({
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
    "os.walk": _walk,
    "shelve.open": _shelf,
    "shutil.copyfileobj": _copy_file,
    **dict.fromkeys(("os.read", "os.pread"), _read_descriptor),
    "os.path.getsize": _file_size,
})  # fmt: skip
LAST_NAMES.update({"open": _open_by_library})
methods_of({"file"}, _file)
methods_of({"mapped"}, _mapped)
ANYWHERE.update(
    {
        **dict.fromkeys(("glob", "rglob", "iterdir", "walk"), _list_folder),
        "open": _open,
        **dict.fromkeys(("cat", "cat_file"), _fetched),
        **dict.fromkeys(("download_fileobj", "retrbinary", "getfo", "download_to_file", "readinto"), _into_buffer),
        **dict.fromkeys(("read_text", "read_bytes"), read_path),
        "readline": _foreign_line,
        **dict.fromkeys(("recv", "recvfrom", "recv_bytes", "recv_into", "recv_string"), _received),
        "read": _foreign_whole,
        "readlines": _foreign_lines,
        **dict.fromkeys(("download_as_text", "download_as_bytes", "download_as_string", "readall"), _blob),
        **dict.fromkeys(("pipe", "pipe_as_completed"), _pipe),
        **dict.fromkeys(("iter_content", "iter_lines", "iter_bytes"), _download),
    }
)
