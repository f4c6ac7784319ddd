"""JSON Lines: one object a line, the document in one of its fields."""

from __future__ import annotations

import json
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.json

from oomguard.errors import BadInput, OomguardError
from oomguard.preparation.reading.byte_stream import ByteStream, skip_bytes
from oomguard.preparation.reading.line_blocks import LineReader
from oomguard.preparation.reading.pieces import PieceBuilder
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from oomguard.preparation.reading.line_blocks import LineBlock
    from oomguard.preparation.reading.pieces import Piece, ReadOptions, Reserve
    from oomguard.preparation.reading.sources import Source

_BOM = b"\xef\xbb\xbf"
_ARROW_LONGEST = 2**31 - 2  # bytes of a block
_PYTHON_PEAK = 10.1  # bytes held to parse a line with Python, by its bytes: str has 4 a character
_NAMES_SHOWN = 8
# Numbers are not looked at, so that none is too long for int().
_DECODER = json.JSONDecoder(parse_int=len, parse_float=len)


def iter_jsonl(
    source: Source, *, options: ReadOptions, resume: dict[str, Any] | None, reserve: Reserve
) -> Iterator[Piece]:
    """Give the documents of a JSON Lines source in pieces.

    What counts as JSON, and which of two equal keys, is as in Python's json; a lone surrogate becomes U+FFFD, as in
    tiktoken. Blank lines and a byte order mark at the begin are passed over. Bytes that are no UTF-8 are refused with
    errors="strict", else left for the encoder to treat.
    Raises: BadInput for a line that is no object with a string in the field, unless errors="skip" leaves such lines
    out; for damaged data; BudgetTooSmall for too long a line; Changed; whatever `reserve` does.
    """
    position = resume or {"offset": 0, "line": 1, "crc": 0}
    digest = source.path == "-"
    start = {key: position[key] for key in (("offset", "line", "crc") if digest else ("offset", "line"))}
    name = printable(source.path)
    builder = PieceBuilder(name, options, inside=position.get("inside", 0), skipped=position.get("skipped", 0))
    left_out = 0
    with ByteStream(source, reserve=reserve) as stream:
        if stream.seekable:
            stream.seek(start["offset"])
        else:
            skip_bytes(stream, start["offset"], crc=start.get("crc"), name=name)
        parser = _Parser(name, options, reserve, held=stream.held)
        try:
            for block in LineReader(stream, name, options, reserve, held=stream.held).blocks(start):
                texts, rows, bad = parser.parse(block)
                if block.lines == 1:
                    block.release()
                yield from builder.add(texts, _Lines(block, rows, bad, left_out))
                start = block.end
                left_out += len(bad)
                del texts
        except OomguardError:
            yield from builder.flush()  # what was read before stays read
            raise
    yield from builder.finish(start, left_out=left_out)


@dataclass(frozen=True, slots=True)
class _Lines:
    """Where the documents of a block stand."""

    block: LineBlock
    rows: Sequence[int]  # the line of each document, from 0
    bad: list[int]  # the lines that were left out
    left_before: int

    def before(self, document: int) -> dict[str, Any]:
        return self.block.after(self.rows[document])

    def after(self, document: int) -> dict[str, Any]:
        return self.block.end if self._is_last(document) else self.block.after(self.rows[document] + 1)

    def where(self, document: int) -> str:
        return f"line {self.block.line + self.rows[document]}"

    def left_out(self, document: int, *, behind: bool) -> int:
        last = behind and self._is_last(document)
        return self.left_before + (len(self.bad) if last else bisect_left(self.bad, self.rows[document]))

    def _is_last(self, document: int) -> bool:
        return document == len(self.rows) - 1


class _BadLine(Exception):
    """What is wrong with a line."""


class _Parser:
    def __init__(self, name: str, options: ReadOptions, reserve: Reserve, *, held: int) -> None:
        self._name = name
        self._options = options
        self._reserve = reserve
        self._held = held
        self._schema = pa.json.ParseOptions(
            explicit_schema=pa.schema([(options.text_field, pa.string())]), unexpected_field_behavior="ignore"
        )

    def parse(self, block: LineBlock) -> tuple[pa.Array, Sequence[int], list[int]]:
        """Give the documents, the line of each, and the lines that were left out; lines from 0."""
        text = memoryview(block.data)
        mark = len(_BOM) if block.start["offset"] == 0 and text[: len(_BOM)] == _BOM else 0
        text = text[mark:]
        if self._options.errors == "strict":
            self._refuse_bad_utf8(text, block)
        if block.lines == 1 or _is_tidy(text, block.feeds - mark):
            texts = self._with_arrow(text)
            if texts is not None and len(texts) == block.lines:
                return texts, range(block.lines), []
        if block.lines == 1 and len(text) > self._options.unasked:
            self._ask_for_python(text, block)
        return self._one_by_one(text, block)

    def _with_arrow(self, text: memoryview | bytes) -> pa.Array | None:
        """Give the field of each object, or None where Arrow is stricter than Python, or a field is missing."""
        if bytes(text[: len(_BOM)]) == _BOM or len(text) > _ARROW_LONGEST:
            return None
        options = pa.json.ReadOptions(use_threads=False, block_size=len(text) + 1)
        try:
            table = pa.json.read_json(pa.BufferReader(text), read_options=options, parse_options=self._schema)
        except pa.ArrowInvalid:
            return None
        column = table.column(0)
        if column.null_count:
            return None
        texts = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        return texts.view(pa.binary())

    def _one_by_one(self, text: memoryview, block: LineBlock) -> tuple[pa.Array, list[int], list[int]]:
        texts: list[bytes] = []
        rows: list[int] = []
        bad: list[int] = []
        for row, line in enumerate(bytes(text).split(b"\n")):
            if not line.strip(b" \t\r"):
                continue
            try:
                texts.append(self._document(line))
                rows.append(row)
            except _BadLine as problem:
                if self._options.errors != "skip":
                    raise self._bad(block.line + row, problem) from problem
                bad.append(row)
        return pa.array(texts, pa.large_binary()), rows, bad

    def _document(self, line: bytes) -> bytes:
        try:
            value = _DECODER.decode(line.decode())
        except json.JSONDecodeError as error:
            raise _BadLine(f"no JSON: {error.msg}, at character {error.colno}") from error
        except (UnicodeDecodeError, RecursionError) as error:
            texts = self._with_arrow(line)  # keeps the bytes as they are, and has no limit of depth
            if texts is None or len(texts) != 1:
                raise _BadLine(f"no JSON with a string in the field: {error}") from error
            document: bytes = texts[0].as_py()
            return document
        if not isinstance(value, dict):
            raise _BadLine(f"{_type_of(value)}, not an object")
        text = value.get(self._options.text_field)
        if isinstance(text, str):
            return _to_utf8(text)
        field = printable(self._options.text_field)
        if self._options.text_field in value:
            raise _BadLine(f'the field "{field}" is {_type_of(text)}, not a string')
        names = [f'"{printable(name)}"' for name in list(value)[:_NAMES_SHOWN]]
        more = ", ..." if len(value) > _NAMES_SHOWN else ""
        raise _BadLine(f'no field "{field}"; there are: {", ".join(names) or "none"}{more}')

    def _bad(self, line: int, problem: _BadLine) -> BadInput:
        do = "correct this line, or leave such lines out with --errors skip"
        if "no field" in str(problem):
            do = "name the field with --text-field NAME, or leave such lines out with --errors skip"
        elif line == 1 and "array" in str(problem):
            do = f"JSON Lines has one object a line: jq -c '.[]' {self._name} > documents.jsonl"
        return BadInput(f"{self._name}:{line}: {problem}", do=do)

    def _refuse_bad_utf8(self, text: memoryview, block: LineBlock) -> None:
        if _is_utf8(text):
            return
        try:
            str(text, "utf-8")
        except UnicodeDecodeError as error:
            before = bytes(text[: error.start])
            raise BadInput(
                f"{self._name}:{block.line + before.count(10)}: not UTF-8 at byte {len(before) - before.rfind(10) - 1} "
                f"of the line ({error.reason})",
                do="--errors replace puts U+FFFD there, --errors skip leaves the bytes out",
            ) from error

    def _ask_for_python(self, text: memoryview, block: LineBlock) -> None:
        """Ask for what Python's json needs for a long line: it knows all of JSON, and says what is wrong."""
        need = int(_PYTHON_PEAK * len(text)) + self._held
        try:
            self._reserve(need, f"{self._name}: line {block.line}, which Arrow's JSON reader refuses")
        except OomguardError as refused:
            start = bytes(text[:256]).lstrip()
            if not start or start.startswith(b"{") or self._options.errors == "skip":
                raise
            what = "a JSON array" if start.startswith(b"[") else "no JSON"
            raise self._bad(block.line, _BadLine(f"{what}, not an object")) from refused


def _is_tidy(text: memoryview, feeds: npt.NDArray[np.int64]) -> bool:
    """Whether every line begins with "{" and ends with "}".

    Then no object goes on over a line end, because in JSON a comma stands between the two: as many objects as lines
    means one on each.
    """
    data = np.frombuffer(text, np.uint8)
    if not len(data):
        return False
    starts, ends = np.append(0, feeds + 1), np.append(feeds - 1, len(data) - 1)
    if starts[-1] == len(data):
        starts, ends = starts[:-1], ends[:-1]
    ends = ends - (data[ends] == ord("\r"))
    return bool((data[starts] == ord("{")).all() and (data[ends] == ord("}")).all())


def _is_utf8(text: memoryview) -> bool:
    ends = pa.py_buffer(np.array([0, len(text)], np.int64))
    try:
        pa.Array.from_buffers(pa.large_string(), 1, [None, ends, pa.py_buffer(text)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _to_utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # as tiktoken's Encoding.encode_ordinary does
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _type_of(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    names: dict[type, str] = {str: "a string", list: "a JSON array", dict: "an object"}
    return names.get(type(value), "a number")
