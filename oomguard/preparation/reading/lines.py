"""JSON Lines: one object a line, the document in one of its fields."""

from __future__ import annotations

import json
from array import array
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import msgspec

from oomguard.preparation.encoding.native import CoreUnavailable, utf8_prefix
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

_BOM = b"\xef\xbb\xbf"
_NAMES_SHOWN = 8
# Numbers are not looked at, so that none is too long for int().
_DECODER = json.JSONDecoder(parse_int=len, parse_float=len)
_SKIP = "or leave such lines out with --errors skip"


@dataclass(frozen=True, slots=True)
class ParsedLines:
    """The documents of some lines."""

    text: bytes  # one behind the other
    offsets: Any  # int64[document_count + 1]: where each begins
    rows: Sequence[int]  # the line of each document, from 0
    bad: list[int]  # the lines that were left out
    lines: int


class BadLine(Exception):
    """What is wrong with a line; lines count from 0."""

    def __init__(self, row: int, what: str, do: str) -> None:
        super().__init__(what)
        self.row, self.what, self.do = row, what, do


def parse_lines(data: bytes, *, field: str, errors: str, at_start: bool) -> ParsedLines:
    """Give the documents of whole lines.

    What counts as JSON, and which of two equal keys, is as in Python's json; a lone surrogate becomes U+FFFD, as in
    tiktoken. Blank lines, and `at_start` a byte order mark, are passed over. Bytes that are no UTF-8 are refused with
    errors="strict", else left for the encoder to treat.
    Raises: BadLine for a line that is no object with a string in the field, unless errors="skip" leaves such lines out.
    """
    if at_start:
        data = data.removeprefix(_BOM)
    if errors == "strict":
        _refuse_bad_utf8(data)
    texts = _at_once(data, field)
    if texts is not None:
        return _joined(texts, range(len(texts)), [], len(texts))
    return _one_by_one(data, field, errors)


def _joined(texts: list[bytes], rows: Sequence[int], bad: list[int], lines: int) -> ParsedLines:
    return ParsedLines(b"".join(texts), array("q", accumulate(map(len, texts), initial=0)), rows, bad, lines)


def _at_once(data: bytes, field: str) -> list[bytes] | None:
    """Give the field of each line, or None where a line is not as usual, or the parser is not of Python's opinion.

    It refuses an escaped surrogate that is alone, which Python's takes.
    """
    decoder = _decoder(field)
    if decoder is None:
        return None
    try:
        decode = decoder.decode  # line by line: an object may not go on in the next one
        return [decode(line).text.encode() for line in data.removesuffix(b"\n").split(b"\n")] if data else []
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


@cache
def _decoder(field: str) -> msgspec.json.Decoder[Any] | None:
    """The parser of that field; None for a name that JSON has to escape, which msgspec does not take."""
    try:
        return msgspec.json.Decoder(msgspec.defstruct("Line", [("text", str)], rename={"text": field}))
    except ValueError:
        return None


def _one_by_one(data: bytes, field: str, errors: str) -> ParsedLines:
    lines = data.count(b"\n") + (not data.endswith(b"\n"))
    texts: list[bytes] = []
    rows: list[int] = []
    bad: list[int] = []
    for row, line in enumerate(data.split(b"\n")):
        if not line.strip(b" \t\r"):
            continue
        try:
            texts.append(_document(line, row, field))
        except BadLine:
            if errors != "skip":
                raise
            bad.append(row)
        rows += [row] * (len(texts) - len(rows))
    return _joined(texts, rows, bad, lines)


def _document(line: bytes, row: int, field: str) -> bytes:
    correct = f"correct this line, {_SKIP}"
    is_utf8 = _is_utf8(line)
    try:
        value = _DECODER.decode(line.decode(errors="strict" if is_utf8 else "surrogateescape"))
    except json.JSONDecodeError as error:
        raise BadLine(row, f"no JSON: {error.msg}, at character {error.colno}", correct) from error
    except RecursionError as error:
        text = _with_arrow(line, field)
        if text is None:
            raise BadLine(row, f"no JSON with a string in the field: {error}", correct) from error
        return text
    if not isinstance(value, dict):
        if row == 0 and isinstance(value, list):
            correct = "JSON Lines has one object a line: jq -c '.[]' FILE > documents.jsonl"
        raise BadLine(row, f"{_type_of(value)}, not an object", correct)
    text = value.get(field)
    if isinstance(text, str):
        return _to_utf8(text, is_utf8=is_utf8)
    shown = printable(field)
    if field in value:
        raise BadLine(row, f'the field "{shown}" is {_type_of(text)}, not a string', correct)
    names = [f'"{printable(name)}"' for name in list(value)[:_NAMES_SHOWN]]
    more = ", ..." if len(value) > _NAMES_SHOWN else ""
    raise BadLine(
        row,
        f'no field "{shown}"; there are: {", ".join(names) or "none"}{more}',
        f"name the field with --text-field NAME, {_SKIP}",
    )


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


def _refuse_bad_utf8(data: bytes) -> None:
    if _is_well_formed(data):
        return
    try:
        data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = len(before) - before.rfind(b"\n") - 1
        raise BadLine(
            before.count(b"\n"),
            f"not UTF-8 at byte {column} of the line ({error.reason})",
            "--errors replace puts U+FFFD there, --errors skip leaves the bytes out",
        ) from error


def _is_well_formed(data: bytes) -> bool:
    try:
        return utf8_prefix(data) == len(data)
    except CoreUnavailable:
        return data.isascii()  # for all else, Python's own decoder


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


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
