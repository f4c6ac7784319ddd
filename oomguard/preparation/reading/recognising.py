"""What a file is by its first bytes, where its name does not say it.

Only what Python brings is used: the process that plans a run imports nothing heavy. So zstd is not looked into.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from oomguard.errors import BadInput
from oomguard.preparation.reading.packed_streams import DamagedStream, PackedStreams
from oomguard.text import printable
from oomguard.units import KIB

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.preparation.reading.source import Compression

HEAD = 64 * KIB
_MAGIC: dict[bytes, Compression] = {
    b"\x1f\x8b": "gz",
    b"\x28\xb5\x2f\xfd": "zst",
    b"\xfd7zXZ\x00": "xz",
    **{b"BZh%d" % level + block: "bz2" for level in range(1, 10) for block in (b"1AY&SY", b"\x17rE8P\x90")},
}
_PARQUET = b"PAR1"
_TAR_AT, _TAR = 257, b"ustar"
_BOM = b"\xef\xbb\xbf"
_LINES = 20
_OBJECT = re.compile(rb'[ \t]*\{[ \t]*"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """What the content says."""

    kind: Literal["jsonl", "parquet"] | None  # None: nothing is told, and it is taken as text
    compression: Compression | None
    head: bytes  # the decompressed begin; empty where it could not be looked into

    def holds_field(self, name: str) -> bool:
        """Whether the first line is an object with this field, as far as it can be told from its begin."""
        line, _, rest = self.head.removeprefix(_BOM).lstrip().partition(b"\n")
        if self.kind != "jsonl":
            return False
        try:
            return name in json.loads(line)
        except (ValueError, RecursionError):  # it goes on behind what was looked at
            return not rest and any(key in line for key in (json.dumps(name).encode(), f'"{name}"'.encode()))


def recognise(path: Path, compression: Compression | None) -> Recognised:
    """Look at the begin of a file; `compression` is what its name says.

    Raises: BadInput for a tar archive, and for a file that cannot be opened.
    """
    shown = printable(str(path))
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
            compression = compression or compression_of(head)
            if compression == "zst":
                return Recognised(kind=None, compression=compression, head=b"")
            if compression is not None:
                file.seek(0)
                head = PackedStreams(file, compression, before_stream=lambda _: None).read(HEAD)
    except DamagedStream:
        return Recognised(kind=None, compression=compression, head=b"")  # the reading will say so
    except OSError as error:
        raise BadInput(f"{shown} cannot be opened: {error.strerror}", do=f"ls -l {shown}") from error
    if head[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR:
        raise BadInput(
            f"{shown} is a tar archive, and its files are what can be read",
            do=f"mkdir unpacked && tar -xf {shlex.quote(shown)} -C unpacked && oomguard prepare unpacked",
        )
    if compression is None and head.startswith(_PARQUET):
        return Recognised(kind="parquet", compression=None, head=head)
    kind: Literal["jsonl"] | None = "jsonl" if looks_like_json_lines(head) else None
    return Recognised(kind=kind, compression=compression, head=head)


def compression_of(head: bytes) -> Compression | None:
    """How a file that begins with `head` is compressed. No UTF-8 text begins so, but for bzip2's ten bytes."""
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


def looks_like_json_lines(head: bytes) -> bool:
    """Whether each of the first lines begins an object, and the first one is a whole one, as far as `head` goes."""
    lines = head[:HEAD].removeprefix(_BOM).split(b"\n")
    whole = lines if len(head) < HEAD else lines[:-1]
    if not whole:
        return bool(_OBJECT.match(lines[0]))  # one long line
    begun = [line for line in whole[:_LINES] if line.strip()]
    if not begun or not all(map(_OBJECT.match, begun)):
        return False
    try:
        return isinstance(json.loads(begun[0]), dict)
    except (ValueError, RecursionError):
        return False


def refuse_json_lines(name: str, head: bytes) -> None:
    """Refuse a stream that would be taken as text, and whose lines are JSON objects. Raises: BadInput."""
    if looks_like_json_lines(head):
        raise BadInput(
            f"{name}: its first lines are JSON objects, and nothing says whether they are JSON Lines or text",
            do="--input-format jsonl (--text-field NAME: the field), or --input-format text to take them as they are",
        )
