"""JSON Lines, and JSON values that were found in another file: objects with the document in one of their fields."""

from __future__ import annotations

import codecs
import json
import re
from array import array
from functools import cache
from itertools import accumulate
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from oomguard.preparation.encoding.bytes_core import json_lines, json_strings, utf8_prefix
from oomguard.preparation.encoding.native import CoreUnavailable
from oomguard.preparation.reading.fields import find_field, paths_of
from oomguard.records import dataclass
from oomguard.text import printable
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_BOM = b"\xef\xbb\xbf"
_NAMES_SHOWN = 8
# Numbers are not looked at, so that none is too long for int().
_DECODER = json.JSONDecoder(parse_int=len, parse_float=len)
_STRING = msgspec.json.Decoder(str)
_LARGE = MIB  # bytes of a value whose text is decoded in parts
_PART = MIB // 4
_SKIP = "or leave such {them} out with --errors skip"


@dataclass(frozen=True, slots=True)
class ParsedLines:
    """The documents of some lines."""

    text: bytes | bytearray  # one behind the other
    offsets: Any  # int64[document_count + 1]: where each begins
    rows: Sequence[int]  # the line of each document, from 0
    bad: list[int]  # the lines that were left out
    lines: int


class BadLine(Exception):
    """What is wrong with a line; lines count from 0."""

    def __init__(self, row: int, what: str, do: str) -> None:
        super().__init__(what)
        self.row, self.what, self.do = row, what, do


def parse_lines(data: bytes | memoryview, *, field: str, errors: str, at_start: bool) -> ParsedLines:
    """Give the documents of whole lines.

    What counts as JSON, and which of two equal keys, is as in Python's json; a lone surrogate becomes U+FFFD, as in
    tiktoken. Blank lines, and `at_start` a byte order mark, are passed over. Bytes that are no UTF-8 are refused with
    errors="strict", else left for the encoder to treat.
    Raises: BadLine for a line that is no object with a string in the field, unless errors="skip" leaves such lines out.
    """
    if at_start and data[: len(_BOM)] == _BOM:
        data = data[len(_BOM) :]
    found = _as_one_block(data, field)
    return _lines_of(bytes(data), field=field, errors=errors) if found is None else found


def _as_one_block(data: bytes | memoryview, field: str) -> ParsedLines | None:
    """Give the documents of lines that are all as usual: UTF-8, each an object from its first byte to its last.

    Where a line ends with } and the next begins with {, one value ends and another begins: the parser takes no line
    feed within a string, and in an object or a list JSON has a comma between the two. So no object is on two lines, and
    with as many of them as there are lines no line has two.
    """
    reader = _reader(field, msgspec.Raw)
    if reader is None:
        return None
    decoder, path = reader
    try:
        count = json_lines(data)
        if not count or utf8_prefix(data) < len(data):
            return None
        strings = list(map(attrgetter(path), decoder.decode_lines(data)))
        found = json_strings(b"".join(strings), count) if len(strings) == count else None
    except (CoreUnavailable, msgspec.DecodeError, RecursionError, AttributeError):
        return None
    return found and ParsedLines(*found, range(count), [], count)


def _lines_of(data: bytes, *, field: str, errors: str) -> ParsedLines:
    count = data.count(b"\n") + (not data.endswith(b"\n")) if data else 0
    is_one = not data or (count == 1 and len(data) > _LARGE)  # then no copy is made
    lines = [data] if is_one else data.removesuffix(b"\n").split(b"\n")
    found = _parse(lines, field=field, errors=errors, is_utf8=_is_well_formed(data), them="lines")
    return ParsedLines(found.text, found.offsets, found.rows, found.bad, count)


def parse_values(values: list[bytes], *, field: str, errors: str) -> ParsedLines:
    """Give the documents of JSON values, as of lines. Raises: BadLine, likewise."""
    return _parse(values, field=field, errors=errors, is_utf8=False, them="values")


def _parse(values: list[bytes], *, field: str, errors: str, is_utf8: bool, them: str) -> ParsedLines:
    if errors == "strict" and not is_utf8 and (bad := _first_bad_utf8(values, them)):
        _parse(values[: bad.row], field=field, errors=errors, is_utf8=True, them=them)  # it may be wrong before that
        raise bad
    texts = _at_once(values, field)
    if texts is not None and len(texts) == len(values):
        return _joined(texts, range(len(values)), [], len(values))
    return _one_by_one(values, field, errors, them)


def _joined(texts: list[bytes], rows: Sequence[int], bad: list[int], lines: int) -> ParsedLines:
    return ParsedLines(b"".join(texts), array("q", accumulate(map(len, texts), initial=0)), rows, bad, lines)


def _at_once(values: list[bytes], field: str) -> list[bytes] | None:
    """Give the field of each, or None where one is not as usual, or the parser is not of Python's opinion.

    It refuses an escaped surrogate that is alone, which Python's takes.
    """
    reader = _reader(field)
    if reader is None:
        return None
    decoder, path = reader
    decode, get = decoder.decode, attrgetter(path)
    try:  # one by one: an object may not continue in the next line
        return [_in_parts(value, field) if len(value) > _LARGE else get(decode(value)).encode() for value in values]
    except (msgspec.DecodeError, UnicodeError, RecursionError, AttributeError):
        return None


def _in_parts(value: bytes, field: str) -> bytes:
    """The same for a large one: its text is never whole as Python's, which takes up to 4 bytes a character.

    Raises: as the parser does.
    """
    reader = _reader(field, msgspec.Raw)
    assert reader is not None
    decoder, path = reader
    text = memoryview(attrgetter(path)(decoder.decode(value)))
    if text[0] != ord('"'):
        raise msgspec.DecodeError("not a string")
    parts, at, end = [], 1, len(text) - 1
    while at < end:
        stop = _blank_behind(text, at + _PART, end)
        parts.append(_STRING.decode(b'"%b"' % bytes(text[at:stop])).encode())
        at = stop
    return b"".join(parts)


def _blank_behind(text: memoryview, at: int, end: int) -> int:
    """The first blank from `at` on: no escape and no character has one in it. `end` if there is none."""
    while at < end:
        window = bytes(text[at : min(at + _PART, end)])
        if (found := window.find(b" ")) >= 0:
            return at + found
        at += len(window)
    return end


@cache
def _reader(field: str, kind: Any = str) -> tuple[msgspec.json.Decoder[Any], str] | None:
    """Give the parser of the field and the attribute that leads to it; None where only Python's json will do.

    That is for a choice of several, and for a name that JSON has to escape, which msgspec does not take.
    """
    paths = paths_of(field)
    if "|" in field or not paths:
        return None
    *_, path = paths
    try:
        for level in reversed(range(len(path))):
            kind = _struct(kind, path[level:])
        return msgspec.json.Decoder(kind), ".".join(["f0"] * len(path))
    except ValueError:
        return None


def _struct(inside: Any, path: tuple[str, ...]) -> Any:
    """An object of which `path[0]` is read; one with several of the names as its own, dots and all, is refused."""
    fields: list[Any] = [("f0", inside)]
    names = {"f0": path[0]}
    for count in range(2, len(path) + 1):
        fields.append((f"f{count}", msgspec.UnsetType, msgspec.UNSET))
        names[f"f{count}"] = ".".join(path[:count])
    return msgspec.defstruct("Value", fields, rename=names)


def _one_by_one(values: list[bytes], field: str, errors: str, them: str) -> ParsedLines:
    texts: list[bytes] = []
    rows: list[int] = []
    bad: list[int] = []
    for row, value in enumerate(values):
        if not value.strip(b" \t\r\n"):
            continue
        try:
            texts.append(_document(value, row, field, them))
        except BadLine:
            if errors != "skip":
                raise
            bad.append(row)
        rows += [row] * (len(texts) - len(rows))
    return _joined(texts, rows, bad, len(values))


def _document(line: bytes, row: int, field: str, them: str) -> bytes:
    skip = _SKIP.format(them=them)
    correct = f"correct this {them[:-1]}, {skip}"
    is_utf8 = _is_utf8(line)
    # An escaped surrogate would be taken for one of the bytes that are no UTF-8.
    # Without its end, so that what is wrong is told alike of a large line, which comes with it; a view is no copy.
    inside = memoryview(line)[: len(line) - line.endswith(b"\n")]
    read = str(inside, "utf-8") if is_utf8 else _ESCAPE.sub(_whole_character, inside).decode(errors="surrogateescape")
    try:
        value = _DECODER.decode(read)
    except json.JSONDecodeError as error:
        raise _no_json(line, row, error, correct) from error
    except RecursionError as error:
        text = _with_arrow(line, field)
        if text is None:
            raise BadLine(row, f"not JSON with a string in the field: {error}", correct) from error
        return text
    if not isinstance(value, dict):
        if row == 0 and isinstance(value, list):
            correct = "--input-format json reads the objects of an array"
            if value and isinstance(value[0], str):
                correct = _AGAIN.format("jq -c '.[] | {text: .}'")
        raise BadLine(row, f"{_type_of(value)}, not an object", correct)
    is_there, text = find_field(value, field)
    if isinstance(text, str):
        return _to_utf8(text, is_utf8=is_utf8)
    shown = printable(field)
    if is_there:
        raise BadLine(row, f'the field "{shown}" is {_type_of(text)}, not a string', correct)
    names = [f'"{printable(name)}"' for name in list(value)[:_NAMES_SHOWN]]
    more = ", ..." if len(value) > _NAMES_SHOWN else ""
    raise BadLine(
        row,
        f'no field "{shown}"; the fields are: {", ".join(names) or "none"}{more}',
        f"name the field with --text-field NAME (for one of several inputs: --text-field GLOB=NAME), {skip}",
    )


_AGAIN = "{} < FILE | oomguard prepare - --input-format jsonl"
_NO_LINES: tuple[tuple[Callable[[bytes], object], str, str], ...] = (  # what is known, and the way that works
    (
        re.compile(rb"\0{64}").match,
        "zero bytes, as an interrupted download leaves them, not JSON",
        "download the file again; --bad-files skip keeps what comes before",
    ),
    (
        re.compile(rb"[^\r]*\}[ \t]*\r[ \t]*\{").match,
        "its lines end with CR alone, and not with LF",
        _AGAIN.format(r"tr '\r' '\n'"),
    ),
    (
        re.compile(rb"\x1e[ \t]*\{").match,
        "a text sequence (RFC 7464): each of its lines begins with a record separator",
        _AGAIN.format(r"tr -d '\036'"),
    ),
)


def _no_json(line: bytes, row: int, error: json.JSONDecodeError, correct: str) -> BadLine:
    for is_so, what, do in _NO_LINES:
        if is_so(line):
            return BadLine(row, what, do)
    if row == 0 and line.strip() in (b"[", b"{"):  # another one ends it
        correct = f"if the objects have several lines each, or are in an array: --input-format json; else {correct}"
    if error.msg == "Extra data" and error.doc[error.pos :].lstrip().startswith("{"):
        correct = f"if there are several objects on a line: --input-format json; else {correct}"
    return BadLine(row, f"not JSON: {error.msg}, at character {error.colno}", correct)


def _with_arrow(line: bytes, field: str) -> bytes | None:
    """Give the field of one object; this parser has no limit of depth."""
    import pyarrow as pa
    import pyarrow.json

    how = pa.json.ParseOptions(explicit_schema=pa.schema([(field, pa.string())]), unexpected_field_behavior="ignore")
    options = pa.json.ReadOptions(use_threads=False, block_size=len(line) + 1)
    try:
        table = pa.json.read_json(pa.BufferReader(line), read_options=options, parse_options=how)
    except pa.ArrowInvalid:
        return None
    column = table.column(0)
    if len(column) != 1 or column.null_count:
        return None
    text: bytes = column.chunk(0).view(pa.binary())[0].as_py()
    return text


def _first_bad_utf8(values: list[bytes], them: str) -> BadLine | None:
    for row, value in enumerate(values):
        if len(value) > _LARGE and _is_well_formed(value):
            continue  # without its text
        try:
            value.decode()
        except UnicodeDecodeError as error:
            if value.startswith((b"\xff\xfe", b"\xfe\xff")):
                return BadLine(row, "this is UTF-16", "--input-encoding utf-16")
            return BadLine(
                row,
                f"not UTF-8 at byte {error.start} of the {them[:-1]} ({error.reason})",
                "--errors replace puts U+FFFD there, --errors skip leaves the bytes out; "
                "--input-encoding NAME if it is written in another encoding",
            )
    return None


def _is_well_formed(data: bytes) -> bool:
    try:
        return utf8_prefix(data) == len(data)
    except CoreUnavailable:
        return data.isascii() or _is_utf8_in_parts(data)


def _is_utf8_in_parts(data: bytes) -> bool:
    """The same from Python's decoder, never with the whole as a text, which can take four bytes for each one."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for at in range(0, len(data), _PART):
            decoder.decode(data[at : at + _PART])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


_ESCAPE = re.compile(rb"(?s)\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F]..)|.)")


def _whole_character(escape: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if escape[1] else escape[0]


def _to_utf8(text: str, *, is_utf8: bool) -> bytes:
    try:
        return text.encode(
            errors="strict" if is_utf8 else "surrogateescape"
        )  # bytes that are no UTF-8 stay as they are
    except UnicodeEncodeError:  # a lone surrogate, as tiktoken's Encoding.encode_ordinary treats it
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _type_of(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    names: dict[type, str] = {str: "a string", list: "a JSON array", dict: "an object"}
    return names.get(type(value), "a number")
