"""What a file is that was taken for text and is none, by its first bytes, and the way that works."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import BadInput
from oomguard.kernel.plain_files import open_regular

if TYPE_CHECKING:
    from oomguard.preparation.reading.source import Source

_HEAD_BYTES = 4096
# What files begin with that were taken for text; those with a longer one first.
_NO_TEXT = {
    b"\xff\xfe\0\0": ("UTF-32", "--input-encoding utf-32"),
    b"\0\0\xfe\xff": ("UTF-32", "--input-encoding utf-32"),
    b"\xff\xfe": ("UTF-16", "--input-encoding utf-16"),
    b"\xfe\xff": ("UTF-16", "--input-encoding utf-16"),
    b"\x1f\x8b": ("gzip", "rename the file to .txt.gz or .jsonl.gz, or zcat FILE | oomguard prepare -"),
    b"\x28\xb5\x2f\xfd": ("zstd", "rename the file to .txt.zst or .jsonl.zst, or zstdcat FILE | oomguard prepare -"),
    b"BZh": ("bzip2", "rename the file to .txt.bz2 or .jsonl.bz2, or bzcat FILE | oomguard prepare -"),
    b"\xfd7zX": ("xz", "rename the file to .txt.xz or .jsonl.xz, or xzcat FILE | oomguard prepare -"),
    b"PAR1": ("Parquet", "rename the file to .parquet; it cannot come through a pipe"),
}


def known_by(start: bytes, source: Source) -> tuple[str, str] | None:
    """What `start` begins, or else the file itself, and what to do with a FILE of that kind; None: not known."""
    known = next((words for magic, words in _NO_TEXT.items() if start.startswith(magic)), None)
    return known or _no_reader(source)


def no_text_inside(source: Source) -> BadInput | None:
    """What is wrong with a compressed file whose content is known to be no text."""
    from oomguard.preparation.reading.recognising import recognise

    if source.compression is None or source.is_remote or source.path == "-":
        return None
    try:
        recognise(Path(source.path), source.compression)
    except BadInput as error:
        return error
    return None


def _no_reader(source: Source) -> tuple[str, str] | None:
    """What a plain file is by its first bytes, and the way that works, if that is known."""
    from oomguard.preparation.reading.recognising import NO_READER  # an error has the time

    if source.compression or source.is_remote or source.path == "-":
        return None
    with suppress(OSError), open_regular(source.path) as file:
        start = file.read(_HEAD_BYTES)
        return next((words for magic, words in NO_READER.items() if start.startswith(magic)), None)
    return None
