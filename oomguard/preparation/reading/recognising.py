"""What a file is by its first bytes, where its name does not say it.

The process that plans a run imports nothing heavy, so none of the readers is asked.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from oomguard.errors import BadInput
from oomguard.kernel.plain_files import open_regular
from oomguard.preparation.encoding.zeros import not_text
from oomguard.preparation.reading.fields import find_field, paths_of
from oomguard.preparation.reading.kinds import KINDS
from oomguard.records import dataclass
from oomguard.text import printable, shell_word
from oomguard.units import KIB

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from oomguard.preparation.reading.kinds import Compression, Kind

HEAD = 64 * KIB
_MAGIC: dict[bytes, Compression] = {
    b"\x1f\x8b": "gz",
    b"\x28\xb5\x2f\xfd": "zst",
    b"\xfd7zXZ\x00": "xz",
    **{b"BZh%d" % level + block: "bz2" for level in range(1, 10) for block in (b"1AY&SY", b"\x17rE8P\x90")},
}
_PARQUET = b"PAR1"
_ARROW_FILE, _ARROW_STREAM = b"ARROW1\0\0", b"\xff\xff\xff\xff"
_WARC = re.compile(rb"WARC/1\.[01]\r?\n")
# What has no reader here, by its first bytes.
NO_READER = {
    b"FEA1": ("Feather of version 1", "write it again with pyarrow.feather.write_feather"),
    b"PK\x03\x04": ("a zip archive (as .docx and .npz are)", "unpack it and name the folder"),
    b"%PDF-": ("PDF", "extract the text first: pdftotext FILE"),
    b"\x93NUMPY": ("a NumPy array", "give the text that it was made from"),
    b"\x04\x22\x4d\x18": ("lz4", "lz4 -d FILE, and name the decompressed file"),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "unpack it and name the folder"),
    b"\x5d\x00\x00": ("lzma", "xz --format=lzma -d FILE, and name the decompressed file"),
    b"\x89HDF": ("HDF5", "write its texts as JSON Lines first"),
    b"SQLite format 3\x00": ("an SQLite database", "write its texts as JSON Lines first"),
}
_TAR_AT, _TAR = 257, b"ustar"
_TAR_BLOCK, _TAR_SUM = 512, slice(148, 156)
_BOM = b"\xef\xbb\xbf"
_LINES = 20
_START = 4 * KIB
_ARRAY = re.compile(rb'\[\s*(?:\{\s*"|\]\s*\Z)')
_OBJECT_ALONE = re.compile(rb'\{[ \t]*\r?\n\s*"')
_OBJECT = re.compile(rb'[ \t]*\{[ \t]*"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """What the content says."""

    kind: Kind | None  # None: nothing is told, and it is taken as text
    compression: Compression | None
    head: bytes  # the decompressed begin; empty where it could not be looked into

    def holds_field(self, name: str) -> bool:
        """Whether the first object has this field, as far as it can be told from its begin."""
        if self.kind == "json":
            quoted = (re.escape(json.dumps(path[-1]).encode()) for path in paths_of(name))
            return any(re.search(key + rb'\s*:\s*"', self.head) for key in quoted)
        line, _, rest = self.head.removeprefix(_BOM).lstrip().partition(b"\n")
        if self.kind != "jsonl":
            return False
        try:
            return find_field(json.loads(line), name)[0]
        except (ValueError, RecursionError):  # it continues behind what was looked at
            keys = {key for path in paths_of(name) for key in (json.dumps(path[-1]), f'"{path[-1]}"')}
            return not rest and any(key.encode() in line for key in keys)


def recognise(path: Path, compression: Compression | None) -> Recognised:
    """Look at the begin of a file; `compression` is what its name says.

    Raises: BadInput for what no reader is for, and for a file that cannot be opened.
    """
    shown = printable(str(path))
    try:
        with open_regular(path) as file:
            head = file.read(HEAD)
            compression = compression or compression_of(head)
            if compression is not None:
                head = _decompressed_head(file, compression)
                _refuse_twice_compressed(head, compression, shown)
    except OSError as error:
        raise BadInput(f"{shown} cannot be opened: {error.strerror}", do=f"ls -l {shell_word(str(path))}") from error
    refuse_unreadable(head, shown)
    kind = kind_of(head)
    if compression is not None and kind in ("parquet", "arrow"):
        raise BadInput(
            f"{shown} is {KINDS[kind].words}, compressed as a whole, and is read by seeking in it",
            do="decompress the file first",
        )
    return Recognised(kind=kind, compression=compression, head=head)


def _decompressed_head(file: BinaryIO, compression: Compression) -> bytes:
    """Nothing of what is damaged: the reading will say so."""
    from oomguard.preparation.reading.packed_streams import DamagedStream, PackedStreams  # 4 ms, for few

    file.seek(0)
    try:
        return PackedStreams(file, compression, before_stream=lambda _: None).read(HEAD)
    except DamagedStream:
        return b""


def _refuse_twice_compressed(head: bytes, compression: Compression, shown: str) -> None:
    if (inner := compression_of(head)) is not None:
        tool = {"gz": "gzip", "zst": "zstd", "xz": "xz", "bz2": "bzip2"}[compression]
        raise BadInput(
            f"{shown} is compressed twice: {inner} within {compression}",
            do=f"{tool} -d {shell_word(shown)}, and name the decompressed file",
        )


def kind_of(head: bytes) -> Kind | None:
    """What a file that begins with `head` is. No UTF-8 text begins as a binary format does."""
    if head.startswith(_PARQUET):
        return "parquet"
    if head.startswith((_ARROW_FILE, _ARROW_STREAM)):
        return "arrow"
    if _is_tar(head):
        return "tar"
    if _WARC.match(head):
        return "warc"
    if looks_like_json_lines(head):
        return "jsonl"
    return "json" if looks_like_json(head) else None


def _is_tar(head: bytes) -> bool:
    """Whether the sum in the first header is right: a text may have the magic's five letters at that place."""
    block = head[:_TAR_BLOCK]
    told = block[_TAR_SUM].strip(b" \0")
    if not block.startswith(_TAR, _TAR_AT) or not re.fullmatch(rb"[0-7]{1,7}", told):
        return False
    return int(told, 8) == sum(block) - sum(block[_TAR_SUM]) + 8 * ord(" ")


def refuse_unreadable(head: bytes, shown: str) -> None:
    """Refuse what would be taken as text and is known to be none. Raises: BadInput."""
    found = next((words for magic, words in NO_READER.items() if head.startswith(magic)), None)
    if found is not None:
        raise BadInput(f"{shown} is {found[0]}, not text", do=found[1].replace("FILE", shell_word(shown)))


def is_binary(head: bytes) -> bool:
    """Whether a file begins as no text does: not as UTF-8, and with zero bytes, though not with as many as UTF-16."""
    start = head[:_START]
    is_wide = start.startswith((b"\xff\xfe", b"\xfe\xff")) or not_text(start, is_first=True)
    return b"\0" in start and not is_wide and not _is_utf8(start)


def _is_utf8(start: bytes) -> bool:
    try:
        start.decode()
    except UnicodeDecodeError as error:
        return error.start + 4 > len(start)  # the last character may be cut off
    return True


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


def begins_as_json_lines(path: Path) -> bool:
    """Whether a file does; that it cannot be read is said where it is opened."""
    with suppress(OSError), open_regular(path) as file:
        return looks_like_json_lines(file.read(HEAD))
    return False


def looks_like_json(head: bytes) -> bool:
    """Whether it begins as an array of objects or an object that goes over several lines, or is an empty array."""
    start = head[:HEAD].removeprefix(_BOM).lstrip()
    if _ARRAY.match(start):
        return True
    if not start.startswith(b"{"):
        return False
    first = start.partition(b"\n")[0]
    return _OBJECT_ALONE.match(start) is not None and not _is_whole(first)


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def refuse_json_lines(name: str, head: bytes) -> None:
    """Refuse a stream that would be taken as text, and whose lines are JSON objects. Raises: BadInput."""
    if looks_like_json_lines(head):
        raise BadInput(
            f"{name}: its first lines are JSON objects, and nothing says whether they are JSON Lines or text",
            do="--input-format jsonl (--text-field NAME: the field), or --input-format text to take them as they are",
        )


def other_kind(path: str, kind: Kind) -> BadInput | None:
    """The error for a file that is another kind than its name says."""
    try:
        with open_regular(path) as file:
            head = file.read(HEAD)
    except OSError:
        return None
    try:
        refuse_unreadable(head, printable(path))
    except BadInput as error:
        return error
    found = kind_of(head)
    if found in (None, kind):
        return None
    assert found is not None
    ending = next(iter(KINDS[found].extensions), ".json")
    renamed = path.removesuffix(next((one for one in KINDS[kind].extensions if path.endswith(one)), "")) + ending
    return BadInput(
        f"{printable(path)} is {KINDS[found].words} by its first bytes, and not {KINDS[kind].words}",
        do=f"mv -n {shell_word(path)} {shell_word(renamed)}",
    )
