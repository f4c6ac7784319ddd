"""The lines of a manifest: JSON objects, each with a checksum of itself and of its place.

    {"checkpoint":{...},"crc32":"0f1e2d3c"}

The CRC-32 is that of all before `,"crc32"`, begun with the number of the line, so that a line that was changed, moved,
doubled or left out is seen. A power cut, or a write that failed, can tear the last line only.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from typing import TYPE_CHECKING, Any

from oomguard.preparation.writing.formats.table import is_owned

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHECKSUM = b',"crc32":"'
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHARD = {"path", "split", "tokens", "sha256"}
_SHARD_MORE = {"documents", "bytes", "index"}  # of formats that have documents, or files beside their shards
_KINDS = ("shard", "provenance_file", "naming", "checkpoint", "result")


class DamagedLine(Exception):
    """A line is not as it was written, and others come after it; carries its number, from 1, and the lines before."""

    def __init__(self, number: int, before: list[dict[str, Any]]) -> None:
        super().__init__(number)
        self.number, self.before = number, before


def encode_line(line: dict[str, Any], number: int) -> bytes:
    """Give line `number` (from 0) of a manifest, with its end of line."""
    body = json.dumps(line, separators=(",", ":"), allow_nan=False).encode()[:-1]
    return body + _CHECKSUM + _checksum(body, number) + b'"}\n'


def decode_lines(content: bytes) -> list[dict[str, Any]]:
    """Give the lines of a manifest, without a last one that is torn.

    Raises: DamagedLine if a line before the last one is not what was written there, or makes no sense.
    """
    lines: list[dict[str, Any]] = []
    *whole, rest = content.split(b"\n")
    for number, raw in enumerate(whole):
        line = _decode(raw, number)
        if line is None:
            if any(later.strip(b"\0") for later in (*whole[number + 1 :], rest)):
                raise DamagedLine(number + 1, lines)
            break
        lines.append(line)
    return lines


def salvage_lines(content: bytes) -> list[dict[str, Any]]:
    """Give the lines of a damaged manifest that are whole themselves."""
    return list(_whole_lines(content))


def _whole_lines(content: bytes) -> Iterator[dict[str, Any]]:
    for number, raw in enumerate(content.split(b"\n")):
        line = _decode(raw, number)
        if line is not None:
            yield line


def old_shards(content: bytes) -> dict[str, list[str]]:
    """Give the sha256 of each shard in a manifest of oomguard 0.1.0, whose lines have no checksum."""
    shards: dict[str, list[str]] = {}
    for raw in content.split(b"\n"):
        shard: Any = (_parse(raw) or {}).get("shard")
        if _is_shard(shard):
            shards.setdefault(shard["path"], []).append(shard["sha256"])
    return shards


def _checksum(body: bytes, number: int) -> bytes:
    return b"%08x" % zlib.crc32(body, number)


def _decode(raw: bytes, number: int) -> dict[str, Any] | None:
    body, _, end = raw.rpartition(_CHECKSUM)
    if not body or end != _checksum(body, number) + b'"}':
        return None
    line = _parse(body + b"}")
    return line if line is not None and (number == 0 or _makes_sense(line)) else None


def _parse(text: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) else None


def _refuse(word: str) -> Any:
    raise ValueError(word)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _makes_sense(line: dict[str, Any]) -> bool:
    """Whether the line is of one kind, and names nothing but shards; all else depends on the job."""
    kinds = [kind for kind in _KINDS if kind in line]
    if len(kinds) != 1:
        return False
    if kinds == ["naming"]:
        return is_shard_name(line["naming"]) and is_sha256(line.get("sha256"))
    if kinds == ["shard"]:
        return _is_shard(line["shard"]) and _is_file(line.get("file"))
    if kinds == ["provenance_file"]:
        return are_beside_files([line["provenance_file"]]) and _is_file(line.get("file"))
    return isinstance(line[kinds[0]], dict) and _are_parts(line[kinds[0]].get("read", []))


def _are_parts(parts: Any) -> bool:
    """What was read: [source, start, end, CRC-32] each."""
    return isinstance(parts, list) and all(
        isinstance(part, list) and len(part) == 4 and all(map(is_count, part)) and part[1] <= part[2] for part in parts
    )


def _is_shard(shard: Any) -> bool:
    return (
        isinstance(shard, dict)
        and _SHARD <= shard.keys() <= _SHARD | _SHARD_MORE
        and is_shard_name(shard["path"])
        and shard["split"] in ("train", "val")
        and is_count(shard["tokens"])
        and is_sha256(shard["sha256"])
        and is_count(shard.get("documents", 0))
        and is_count(shard.get("bytes", 0))
        and are_beside_files(shard.get("index", []))
    )


def are_beside_files(files: Any) -> bool:
    """Whether they are files beside shards: path, bytes, sha256 each."""
    return isinstance(files, list) and all(
        isinstance(file, dict)
        and file.keys() == {"path", "bytes", "sha256"}
        and is_shard_name(file["path"])
        and is_count(file["bytes"])
        and is_sha256(file["sha256"])
        for file in files
    )


def _is_file(file: Any) -> bool:
    return isinstance(file, list) and len(file) == 3 and all(map(is_count, file))


def is_shard_name(name: Any) -> bool:
    """Whether a shard may be called so."""
    return isinstance(name, str) and is_owned(name)


def is_sha256(text: Any) -> bool:
    """Whether it is a sha256 in hexadecimal digits."""
    return isinstance(text, str) and _SHA256.fullmatch(text) is not None


def is_count(value: Any) -> bool:
    """Whether it is a number of something: no bool, none below 0, and none that no file can have."""
    return type(value) is int and 0 <= value < 1 << 63
