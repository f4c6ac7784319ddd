"""Whether a file has the field that is asked for, as far as its begin tells: known before hours of work."""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput, OomguardError
from oomguard.preparation.encoding.zeros import not_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oomguard.preparation.reading.kinds import Kind

_BOM = b"\xef\xbb\xbf"
_QUOTED = re.compile(r'"[^"]*"([;|\t,])"')  # two fields, and what divides them
_START = 4096
_CUT = 60_000  # bytes of a begin whose last line may continue behind it


def require_field(kind: Kind, head: bytes, field: str, name: str) -> None:
    """Look at the first record of a file that begins with `head`. Raises: BadInput if it lacks the field."""
    head = head.removeprefix(_BOM)
    if kind == "jsonl":
        _require_in_line(head, field, name)
    elif kind in ("csv", "tsv"):
        if encoding := _wide_encoding(head):
            raise BadInput(f"{name} is {encoding.upper()}", do=f"--input-encoding {encoding}")
        _require_in_header(head, field, name, delimiter="\t" if kind == "tsv" else ",")


def _require_in_line(head: bytes, field: str, name: str) -> None:
    from oomguard.preparation.reading.lines import BadLine, parse_values  # 20 ms, which a text need not pay

    line, end, _ = head.lstrip(b"\r\n\t ").partition(b"\n")
    try:
        if not end or not isinstance(json.loads(line), dict):
            return  # it continues behind what was looked at; or the reading will say so
        parse_values([line], field=field, errors="strict")
    except BadLine as bad:
        if bad.what.startswith("no field"):
            raise BadInput(f"{name}:1: {bad.what}", do=bad.do) from bad
    except (ValueError, RecursionError):
        return


def _wide_encoding(head: bytes) -> str:
    """UTF-16 or UTF-32 by its mark, or by where its zeros are; "" if it is neither."""
    found = not_text(head[:_START], is_first=True)
    if found.startswith("utf"):
        return found
    return "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else ""


def _require_in_header(head: bytes, field: str, name: str, *, delimiter: str) -> None:
    # Lines as the reader divides them: a name may have what str.splitlines takes for an end.
    lines = re.findall(r"[^\n]*\n|[^\n]+", head.decode(errors="surrogateescape"))
    if len(head) >= _CUT:
        del lines[-1]
    try:
        header = next((one for one in csv.reader(lines, delimiter=delimiter, strict=True) if one), None)
    except csv.Error as error:
        from oomguard.preparation.reading.csv_records import for_other_delimiter

        found = _QUOTED.search(lines[0]) if lines else None
        if found and (do := for_other_delimiter([found[1]], name)):
            raise BadInput(f"{name}:1: {error}", do=do) from error
        return  # the reading will say so
    if header is not None:
        from oomguard.preparation.reading.csv_records import find_column

        find_column(header, field, name)


def check_columns(files: Iterable[dict[str, Any]]) -> dict[str, str] | None:
    """Look whether files of columns have the one with the text, in a worker: what opens them takes memory.

    `files`: path, kind and field each. Gives the first error.
    """
    from oomguard.preparation.reading.arrow_batches import require_arrow_column
    from oomguard.preparation.reading.parquet import require_column
    from oomguard.preparation.reading.recognising import other_kind

    for file in files:
        require = require_column if file["kind"] == "parquet" else require_arrow_column
        try:
            require(file["path"], file["field"])
        except OomguardError as error:
            error = other_kind(file["path"], file["kind"]) or error
            return {"class": type(error).__name__, "what": str(error), "do": error.do}
    return None
