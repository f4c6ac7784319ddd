"""The source of a unit as it is now: a damaged file may have been mended since the job was planned."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from oomguard.errors import BadInput, Changed
from oomguard.kernel.plain_files import open_readable
from oomguard.preparation.cluster.parts import open_part
from oomguard.preparation.writing.read_parts import require_same_bytes
from oomguard.text import printable, shell_word
from oomguard.units import MIB

if TYPE_CHECKING:
    from oomguard.preparation.cluster.job_file import JobFile
    from oomguard.preparation.reading.source import Source


def source_now(job_file: JobFile, number: int, *, token_bytes: int) -> Source:
    """The part of a source that a unit is.

    A file that is one unit is taken as it is. One of several units must have the size that was planned with, and where
    it was touched since, the bytes that its other units were made of.
    Raises: Changed if it has not; BadInput if it cannot be read.
    """
    unit = job_file.units[number]
    source = job_file.source_of(unit)
    if source.is_remote:  # pinned: another version is refused when it is read
        return source
    name = printable(source.path)
    try:
        status = os.stat(source.path)  # noqa: PTH116 - a path that is any bytes
    except OSError as error:
        raise BadInput(f"{name} cannot be read: {error.strerror}", do=f"ls -l {shell_word(source.path)}") from error
    if (status.st_size, status.st_mtime_ns) == (source.size, source.mtime_ns):
        return source
    if sum(each.source == unit.source for each in job_file.units) == 1:
        source = replace(source, part=None)
    else:
        if status.st_size != source.size:
            raise Changed(
                f"{name} has {status.st_size:,} bytes, and had {source.size:,} when the job was planned: "
                "its units would be different ones",
                do="give the same file again; or plan the job again, with another --out FOLDER",
            )
        for other, each in enumerate(job_file.units):
            if each.source == unit.source and job_file.part_file(other).exists():
                part = open_part(job_file.part_file(other), job=job_file.sha256, unit=other, token_bytes=token_bytes)
                if part.read is None:
                    raise Changed(
                        f"{name} was touched since unit {other} was made of it, and too much of it was read in small "
                        "stretches for a checksum to tell whether its bytes are the same",
                        do="plan the job again, with another --out FOLDER",
                    )
                require_same_bytes(source, part.read)
    return replace(
        source,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        inode=status.st_ino,
        ctime_ns=status.st_ctime_ns,
    )


def lines_before(source: Source) -> int:
    """Count the lines before a part of a file of this machine, so that an error can name the one that is wrong.

    Raises: BadInput.
    """
    left, lines = source.begin, 0
    try:
        with open_readable(source.path, buffering=0) as file:
            while left and (data := file.read(min(left, MIB))):
                lines += data.count(b"\n")
                left -= len(data)
    except OSError as error:
        raise BadInput(f"{printable(source.path)} cannot be read: {error.strerror}", do="check it") from error
    return lines
